/* SPDX-License-Identifier: Apache-2.0 */
#include "answer/field.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CUT_MAX 3 /* octets of a character without its end */

/* JSON holds UTF-8 only. A field is never left out because of a stray octet: a character that was
 * cut at the end goes, and where that does not help no octet above ASCII stays. */
static json_t *
text_json(const char *s)
{
	size_t n = strlen(s);
	json_t *j = NULL;
	char *plain;

	for (size_t cut = 0; !j && cut <= CUT_MAX && cut <= n; cut++)
		j = json_stringn(s, n - cut);
	if (j)
		return j;
	plain = strdup(s);
	for (char *p = plain; p && *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	j = json_string(plain ? plain : "");
	free(plain);
	return j;
}

static json_t *
number_json(uint64_t n)
{
	return json_integer(n > INT64_MAX ? INT64_MAX : (json_int_t)n);
}

/* NULL: the field is left out. */
static json_t *
value_json(enum field_type type, const void *at)
{
	switch (type) {
	case FIELD_TEXT:
	case FIELD_NOTE: {
		const char *s = *(const char *const *)at;

		return s ? text_json(s) : NULL;
	}
	case FIELD_NUMBER:
		return number_json(*(const uint64_t *)at);
	case FIELD_NONZERO:
		return *(const uint64_t *)at > 0 ? number_json(*(const uint64_t *)at) : NULL;
	case FIELD_YESNO:
		return json_boolean(*(const bool *)at);
	default:
		return *(json_t *const *)at;
	}
}

void
fields_put(json_t *o, const struct fields *f, const void *values)
{
	for (size_t i = 0; i < f->n; i++) {
		json_t *v = value_json(f->list[i].type, (const char *)values + i * FIELD_PLACE);

		if (v)
			json_object_set_new(o, f->list[i].key, v);
	}
}

static void
value_get(const json_t *v, enum field_type type, void *at)
{
	switch (type) {
	case FIELD_TEXT:
	case FIELD_NOTE:
		*(const char **)at = json_is_string(v) ? json_string_value(v) : "";
		break;
	case FIELD_NUMBER:
	case FIELD_NONZERO:
		*(uint64_t *)at = (uint64_t)json_integer_value(v);
		break;
	case FIELD_YESNO:
		*(bool *)at = json_is_true(v);
		break;
	default:
		*(const json_t **)at = v;
		break;
	}
}

bool
fields_get(const json_t *o, const struct fields *f, void *ret_values)
{
	for (size_t i = 0; i < f->n; i++)
		value_get(json_object_get(o, f->list[i].key), f->list[i].type,
			  (char *)ret_values + i * FIELD_PLACE);
	return json_object_get(o, f->list[0].key) != NULL;
}
