/* SPDX-License-Identifier: Apache-2.0 */
/* result - rows of text. */
#ifndef SQL_RESULT_H
#define SQL_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

/* Rows of text. Cells of a NULL have p = NULL. */
struct sql_result {
	uint32_t n_cols, n_rows;
	uint64_t affected;
	struct pm_str *names; /* n_cols */
	struct pm_str *cells; /* n_rows * n_cols */
	size_t n_text, n_cells, cap_text, cap_cells;
	char *text;  /* names and cells point into it; wiped, since it holds hashes */
	bool failed; /* no memory, or more than SQL_RESULT_BYTES */
};
#define SQL_RESULT_BYTES (1u << 20)

/* Filling: all names, then cells row by row; then end. A result that failed stays empty. */
void result_name(struct sql_result *r, const char *name);
void result_cell(struct sql_result *r, const char *p, size_t n);
bool result_end(struct sql_result *r);
void result_free(struct sql_result *r);
/* The cell of this column, NULL: there is no such column. */
const struct pm_str *result_get(const struct sql_result *r, uint32_t row, const char *column);

#endif
