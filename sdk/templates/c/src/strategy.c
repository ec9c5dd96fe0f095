/* Starts a service again when its cache is there, and holds everybody back until
 * it is: a start without it would only fail again.
 *
 * `plugin.h` is made of `wit/plugin.wit` when the component is built; it is in
 * `build/bindings` then. A call that the host refuses, or that fails, gives false
 * and fills in `err`: to give false too hands that on to the operator. */

#include "plugin.h"
#include "text.h"

/* As long as systemd itself gives a start, in milliseconds. */
static const uint64_t TIMEOUT = 90000;

static bool assess_not_applicable(exports_prunella_strategy_strategy_assessment_t *ret,
			    plugin_string_t reason)
{
	ret->tag = PRUNELLA_STRATEGY_TYPES_ASSESSMENT_NOT_APPLICABLE;
	ret->val.not_applicable = reason;
	return true;
}

static bool assess_veto(exports_prunella_strategy_strategy_assessment_t *ret,
			    plugin_string_t reason)
{
	ret->tag = PRUNELLA_STRATEGY_TYPES_ASSESSMENT_VETO;
	ret->val.veto = reason;
	return true;
}

static bool assess_applies(exports_prunella_strategy_strategy_assessment_t *ret,
			   uint8_t confidence, plugin_string_t reason)
{
	ret->tag = PRUNELLA_STRATEGY_TYPES_ASSESSMENT_APPLIES;
	ret->val.applies.confidence = confidence;
	ret->val.applies.reason = reason;
	return true;
}

/* The operator's name for the cache. */
static plugin_string_t file(void)
{
	plugin_string_t key = text("file"), name;

	return prunella_base_settings_get(&key, &name) ? name : text("cache");
}

static bool is_declared(exports_prunella_strategy_strategy_borrow_incident_t incident,
			plugin_string_t name)
{
	plugin_list_string_t names;

	prunella_base_incidents_method_incident_files(incident, &names);
	for (size_t i = 0; i < names.len; i++) {
		if (text_equal(names.ptr[i], name))
			return true;
	}
	return false;
}

void exports_prunella_strategy_strategy_describe(
	exports_prunella_strategy_strategy_description_t *ret)
{
	static prunella_strategy_types_setting_t settings[1];

	settings[0].name = text("file");
	settings[0].kind = text("text");
	settings[0].required = false;
	settings[0].default_.is_some = true;
	settings[0].default_.val = text("cache");
	settings[0].help = text("The declared file that has to be there.");

	ret->name = text("{{name}}");
	ret->version = text("0.1.0");
	ret->author = text("");
	ret->summary = text("Starts a service again when its cache is there, "
			    "and holds everybody back until it is.");
	ret->settings.ptr = settings;
	ret->settings.len = 1;
	/* Failures. */
	ret->treats.ptr = NULL;
	ret->treats.len = 0;
}

bool exports_prunella_strategy_strategy_assess(
	exports_prunella_strategy_strategy_borrow_incident_t incident,
	exports_prunella_strategy_strategy_assessment_t *ret,
	exports_prunella_strategy_strategy_failure_t *err)
{
	prunella_observe_files_own_file_t cache;
	plugin_string_t unit, cause, name = file();

	prunella_base_incidents_method_incident_unit(incident, &unit);
	prunella_base_incidents_method_incident_cause(incident, &cause);
	if (!is_declared(incident, name))
		return assess_not_applicable(ret, SENTENCE(text("no file `"), name,
						     text("` is declared for "), unit));
	if (!prunella_observe_files_stat(&name, &cache, err))
		return false;
	if (!prunella_observe_files_method_file_exists(
		    prunella_observe_files_borrow_file(cache)))
		return assess_veto(ret, SENTENCE(text("`"), name,
						     text("` is not there, and "), unit,
						     text(" would only fail again without it")));
	return assess_applies(ret, 60,
			      SENTENCE(text("`"), name, text("` is there, and "), unit,
				       text(" has failed ("), cause, text(")")));
}

bool exports_prunella_strategy_strategy_heal(
	exports_prunella_strategy_strategy_borrow_incident_t incident,
	exports_prunella_strategy_strategy_outcome_t *ret,
	exports_prunella_strategy_strategy_failure_t *err)
{
	prunella_observe_units_own_unit_t now;
	prunella_act_unit_control_own_job_t job;
	plugin_string_t unit, ended, line, state;
	bool up, submitted;

	prunella_base_incidents_method_incident_unit(incident, &unit);
	line = SENTENCE(text("`"), file(), text("` is there: bringing "), unit, text(" up"));
	prunella_base_log_write(PRUNELLA_BASE_LOG_LEVEL_INFO, &line);

	if (!prunella_observe_units_get(&unit, &now, err))
		return false;
	up = prunella_observe_units_method_unit_is_up(prunella_observe_units_borrow_unit(now));
	submitted = up ? prunella_act_unit_control_restart(&unit, &job, err)
		       : prunella_act_unit_control_start(&unit, &job, err);
	if (!submitted)
		return false;
	if (!prunella_act_unit_control_method_job_wait(prunella_act_unit_control_borrow_job(job),
						       TIMEOUT, &ended, err))
		return false;
	if (!text_equal(ended, text("done"))) {
		ret->tag = PRUNELLA_STRATEGY_TYPES_OUTCOME_FAILED;
		ret->val.failed = SENTENCE(text("systemd ended the start of "), unit,
					   text(" with `"), ended, text("`"));
		return true;
	}
	if (!prunella_observe_units_wait(&unit, PRUNELLA_OBSERVE_UNITS_GOAL_UP, TIMEOUT, &now,
					 err))
		return false;
	prunella_observe_units_method_unit_sub_state(prunella_observe_units_borrow_unit(now),
						     &state);
	ret->tag = PRUNELLA_STRATEGY_TYPES_OUTCOME_HEALED;
	ret->val.healed = SENTENCE(text("started "), unit, text(": it is "), state);
	return true;
}
