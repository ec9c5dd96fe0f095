/* Holds everybody back while a disk has no room, or is read-only: a start would
 * only fail, and might leave half a file behind. It never acts. */

#include "plugin.h"
#include "text.h"

/* What has to be free, in MiB, unless the operator says otherwise. */
static const uint64_t MIB_FREE = 64;

typedef exports_prunella_strategy_strategy_assessment_t assessment_t;

/* A number in decimal. */
static plugin_string_t decimal(uint64_t number)
{
	char digits[21];
	size_t at = sizeof digits - 1;
	plugin_string_t copy;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	} while (number > 0);
	plugin_string_dup(&copy, &digits[at]);
	return copy;
}

/* The setting, or `otherwise`. */
static plugin_string_t setting(const char *name, const char *otherwise)
{
	plugin_string_t key = text(name), value;

	return prunella_base_settings_get(&key, &value) ? value : text(otherwise);
}

/* The setting `mib-free`; the host has seen to it that it is a number. */
static uint64_t mib_free(void)
{
	plugin_string_t value = setting("mib-free", "");
	uint64_t number = 0;

	if (value.len == 0)
		return MIB_FREE;
	for (size_t i = 0; i < value.len; i++)
		number = number * 10 + (value.ptr[i] - '0');
	return number;
}

static void describe_setting(prunella_strategy_types_setting_t *setting, const char *name,
			     const char *kind, plugin_string_t otherwise, const char *help)
{
	setting->name = text(name);
	setting->kind = text(kind);
	setting->required = false;
	setting->default_.is_some = true;
	setting->default_.val = otherwise;
	setting->help = text(help);
}

void exports_prunella_strategy_strategy_describe(
	exports_prunella_strategy_strategy_description_t *ret)
{
	static prunella_strategy_types_setting_t settings[2];

	describe_setting(&settings[0], "place", "text", text("/var"),
			 "A declared file on the disk, or `/`, `/var`, `/tmp`, `/run`.");
	describe_setting(&settings[1], "mib-free", "number", decimal(MIB_FREE),
			 "How many MiB have to be free on it.");

	ret->name = text("disk-guard");
	ret->version = text("0.1.0");
	ret->author = text("");
	ret->summary = text("Holds everybody back while a disk has no room, or is read-only.");
	ret->settings.ptr = settings;
	ret->settings.len = 2;
	/* Failures. */
	ret->treats.ptr = NULL;
	ret->treats.len = 0;
}

bool exports_prunella_strategy_strategy_assess(
	exports_prunella_strategy_strategy_borrow_incident_t incident, assessment_t *ret,
	exports_prunella_strategy_strategy_failure_t *err)
{
	prunella_observe_filesystems_file_system_t disk;
	plugin_string_t place = setting("place", "/var"), have;
	uint64_t needed = mib_free();

	(void)incident;
	if (!prunella_observe_filesystems_below(&place, &disk, err))
		return false;
	have = SENTENCE(decimal(disk.available >> 20), text(" MiB of "), decimal(disk.total >> 20),
			text(" are free"));
	if (disk.read_only) {
		ret->tag = PRUNELLA_STRATEGY_TYPES_ASSESSMENT_VETO;
		ret->val.veto = SENTENCE(text("the disk of "), place, text(" is read-only"));
	} else if (disk.available >> 20 < needed) {
		ret->tag = PRUNELLA_STRATEGY_TYPES_ASSESSMENT_VETO;
		ret->val.veto = SENTENCE(text("there is no room on "), place, text(": "), have,
					     text(", and it needs "), decimal(needed));
	} else if (disk.inodes_total > 0 && disk.inodes_available == 0) {
		/* Some file systems have no such number. */
		ret->tag = PRUNELLA_STRATEGY_TYPES_ASSESSMENT_VETO;
		ret->val.veto = SENTENCE(text("there can be no more files on "), place);
	} else {
		ret->tag = PRUNELLA_STRATEGY_TYPES_ASSESSMENT_NOT_APPLICABLE;
		ret->val.not_applicable = SENTENCE(text("there is room on "), place, text(": "), have);
	}
	return true;
}

bool exports_prunella_strategy_strategy_heal(
	exports_prunella_strategy_strategy_borrow_incident_t incident,
	exports_prunella_strategy_strategy_outcome_t *ret,
	exports_prunella_strategy_strategy_failure_t *err)
{
	(void)incident;
	(void)err;
	ret->tag = PRUNELLA_STRATEGY_TYPES_OUTCOME_NOT_APPLICABLE;
	ret->val.not_applicable = text("it only looks");
	return true;
}
