#include "text.h"

#include <stdlib.h>
#include <string.h>

plugin_string_t text(const char *text)
{
	plugin_string_t string;

	plugin_string_set(&string, text);
	return string;
}

bool text_equal(plugin_string_t left, plugin_string_t right)
{
	return left.len == right.len && memcmp(left.ptr, right.ptr, left.len) == 0;
}

plugin_string_t text_joined(const plugin_string_t *parts, size_t count)
{
	plugin_string_t joined = { NULL, 0 };
	size_t length = 0;

	for (size_t i = 0; i < count; i++)
		length += parts[i].len;
	joined.ptr = malloc(length);
	for (size_t i = 0; i < count; i++) {
		memcpy(joined.ptr + joined.len, parts[i].ptr, parts[i].len);
		joined.len += parts[i].len;
	}
	return joined;
}
