/* Sentences, of parts. Strings of the contract have a length and no end mark. */
#ifndef TEXT_H
#define TEXT_H

#include "plugin.h"

/* A string of the contract that points to `text`. */
plugin_string_t text(const char *text);

/* Whether the two are the same. */
bool text_equal(plugin_string_t left, plugin_string_t right);

/* One new string of several: SENTENCE(unit, text(" is down")). */
#define SENTENCE(...)                                                          \
	text_joined((plugin_string_t[]){ __VA_ARGS__ },                        \
		    sizeof((plugin_string_t[]){ __VA_ARGS__ }) /               \
			    sizeof(plugin_string_t))

plugin_string_t text_joined(const plugin_string_t *parts, size_t count);

#endif
