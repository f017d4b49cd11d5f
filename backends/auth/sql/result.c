/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of text, filled by a driver. */
#include "result.h"

#include <stdlib.h>
#include <string.h>

#include "conf.h"

/* Room for n bytes more. The old text is wiped, so realloc will not do; pointers into it move
 * along. */
static bool
more_text(struct sql_result *r, size_t n)
{
	size_t cap = r->cap_text ? r->cap_text : 1024;
	char *text;

	while (cap < r->n_text + n)
		cap *= 2;
	if (cap == r->cap_text)
		return true;
	text = cap <= SQL_RESULT_BYTES ? malloc(cap) : NULL;
	if (!text)
		return false;
	if (r->text) {
		memcpy(text, r->text, r->n_text);
		for (size_t k = 0; k < r->n_cells; k++)
			if (r->cells[k].p)
				r->cells[k].p = text + (r->cells[k].p - r->text);
		for (size_t k = 0; k < r->n_cols; k++)
			r->names[k].p = text + (r->names[k].p - r->text);
		explicit_bzero(r->text, r->cap_text);
		free(r->text);
	}
	r->text = text;
	r->cap_text = cap;
	return true;
}

static struct pm_str
result_put_text(struct sql_result *r, const char *p, size_t n)
{
	struct pm_str s = {NULL, 0};

	if (n > SQL_RESULT_BYTES || !more_text(r, n + 1)) {
		r->failed = true;
		return s;
	}
	if (n > 0)
		memcpy(r->text + r->n_text, p, n);
	r->text[r->n_text + n] = '\0';
	s = (struct pm_str){r->text + r->n_text, n};
	r->n_text += n + 1;
	return s;
}

void
result_name(struct sql_result *r, const char *name)
{
	struct pm_str *names =
		r->failed ? NULL : realloc(r->names, (r->n_cols + 1) * sizeof(*names));
	struct pm_str s;

	r->failed = r->failed || !names;
	if (!names)
		return;
	r->names = names;
	s = result_put_text(r, name, strlen(name));
	if (!r->failed)
		r->names[r->n_cols++] = s;
}

void
result_cell(struct sql_result *r, const char *p, size_t n)
{
	struct pm_str s = {NULL, 0};

	if (r->failed)
		return;
	if (r->n_cells == r->cap_cells) {
		size_t cap = r->cap_cells ? r->cap_cells * 2 : 32;
		struct pm_str *cells = realloc(r->cells, cap * sizeof(*cells));

		if (!cells) {
			r->failed = true;
			return;
		}
		r->cells = cells;
		r->cap_cells = cap;
	}
	if (p)
		s = result_put_text(r, p, n);
	if (!r->failed)
		r->cells[r->n_cells++] = s;
}

bool
result_end(struct sql_result *r)
{
	if (r->failed)
		return false;
	r->n_rows = r->n_cols > 0 ? (uint32_t)(r->n_cells / r->n_cols) : 0;
	return true;
}

void
result_free(struct sql_result *r)
{
	if (r->text)
		explicit_bzero(r->text, r->cap_text);
	free(r->text);
	free(r->names);
	free(r->cells);
	memset(r, 0, sizeof(*r));
}

const struct pm_str *
result_get(const struct sql_result *r, uint32_t row, const char *column)
{
	for (uint32_t k = 0; k < r->n_cols; k++)
		if (sdk_str_is(r->names[k], column))
			return &r->cells[(size_t)row * r->n_cols + k];
	return NULL;
}
