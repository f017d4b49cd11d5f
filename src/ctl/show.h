/* SPDX-License-Identifier: Apache-2.0 */
/*
 * show - answers on standard output: JSON, or for people by the titles of their fields
 * (answer/answers.h). Columns are as wide as their widest value, numbers stand to the right; a
 * value that is not there is "-".
 */
#ifndef RST_CTL_SHOW_H
#define RST_CTL_SHOW_H

#include "answer/field.h"

void show_json(const json_t *answer);

/* A line for each field that has a title and is there; below them the objects, whole. */
void show_fields(const json_t *o, const struct fields *f);

/* A last column that is made up of several fields, or of none; print ends no line. */
struct show_column {
	const char *title;
	void (*print)(const json_t *row);
};

/* A table of the fields with a title of all `parts` (NULL ends them). last may be NULL. */
void show_rows(const json_t *rows, const struct fields *const *parts,
	       const struct show_column *last);

#endif
