/* SPDX-License-Identifier: Apache-2.0 */
#include "answer/answers.h"

#include <stdarg.h>
#include <stdio.h>

#define FIELD_ROW(key, type, unit, title) {#key, title, FIELD_##type, UNIT_##unit},
#define ANSWER_DEFINE(name, heading, table) \
	static const struct field name##_list[] = {table(FIELD_ROW)}; \
	_Static_assert(sizeof(struct answer_##name) == \
			       sizeof(name##_list) / sizeof(name##_list[0]) * FIELD_PLACE, \
		       "a place for each field"); \
	const struct fields answers_##name = {heading, name##_list, \
					      sizeof(name##_list) / sizeof(name##_list[0])};

ANSWERS(ANSWER_DEFINE)

json_t *
answers_new(void)
{
	struct answer_outcome a = {.ok = true};
	json_t *o = json_object();

	ANSWER_PUT(o, outcome, &a);
	return o;
}

json_t *
answers_error(const char *fmt, ...)
{
	char text[512];
	struct answer_outcome a = {.error = text};
	json_t *o = json_object();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ANSWER_PUT(o, outcome, &a);
	return o;
}
