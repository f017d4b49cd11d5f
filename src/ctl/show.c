/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/show.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "answer/answers.h"

#define COLUMNS_MAX 24
#define CELL_MAX 40 /* of a number, a size, a date */
#define LINE_TITLE 24
#define MEMBER_TITLE 42

void
show_json(const json_t *answer)
{
	json_dumpf(answer, stdout, JSON_INDENT(1));
	printf("\n");
}

/* ---- values ---------------------------------------------------------------------------------- */

static const char *
size_text(json_int_t octets, char buf[CELL_MAX])
{
	static const char units[] = " KMGTP";
	double v = (double)octets;
	size_t u = 0;

	while (v >= 1024 && u + 1 < sizeof(units) - 1) {
		v /= 1024;
		u++;
	}
	snprintf(buf, CELL_MAX, u == 0 ? "%.0f" : "%.1f%c", v, units[u]);
	return buf;
}

static const char *
date_text(json_int_t seconds, char buf[CELL_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	if (seconds <= 0 || !gmtime_r(&t, &tm) ||
	    strftime(buf, CELL_MAX, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(buf, CELL_MAX, "-");
	return buf;
}

static const char *
number_text(json_int_t n, enum field_unit unit, char buf[CELL_MAX])
{
	switch (unit) {
	case UNIT_SIZE:
		return size_text(n, buf);
	case UNIT_DATE:
		return date_text(n, buf);
	case UNIT_DATE_MS:
		return date_text(n / 1000, buf);
	default:
		snprintf(buf, CELL_MAX, "%" JSON_INTEGER_FORMAT, n);
		return buf;
	}
}

/* In buf, or the value's own text. */
static const char *
value_text(const json_t *v, enum field_unit unit, char buf[CELL_MAX])
{
	const char *s = json_string_value(v);

	if (json_is_integer(v))
		return number_text(json_integer_value(v), unit, buf);
	if (json_is_boolean(v))
		return json_is_true(v) ? "yes" : "no";
	return s && *s ? s : "-";
}

static bool
is_date(enum field_unit unit)
{
	return unit == UNIT_DATE || unit == UNIT_DATE_MS;
}

/* ---- lines ----------------------------------------------------------------------------------- */

static void
show_object(const char *title, json_t *o)
{
	char buf[CELL_MAX];
	const char *key;
	json_t *v;

	printf("%s\n", title);
	json_object_foreach(o, key, v)
		printf("  %-*s %s\n", MEMBER_TITLE, key, value_text(v, UNIT_NONE, buf));
}

void
show_fields(const json_t *o, const struct fields *f)
{
	char buf[CELL_MAX];

	for (size_t i = 0; i < f->n; i++) {
		const struct field *x = &f->list[i];
		json_t *v = json_object_get(o, x->key);

		if (!v || !*x->title)
			continue;
		if (x->type == FIELD_OBJECT)
			show_object(x->title, v);
		else
			printf("%-*s %s%s\n", LINE_TITLE, x->title, value_text(v, x->unit, buf),
			       is_date(x->unit) ? " UTC" : "");
	}
}

/* ---- tables ---------------------------------------------------------------------------------- */

struct columns {
	const struct field *list[COLUMNS_MAX];
	int width[COLUMNS_MAX];
	size_t n;
	const struct field *note; /* NULL: rows have none */
	const struct show_column *last;
};

static void
columns_collect(struct columns *c, const struct fields *const *parts)
{
	for (; *parts; parts++)
		for (size_t i = 0; i < (*parts)->n; i++) {
			const struct field *x = &(*parts)->list[i];

			if (x->type == FIELD_NOTE)
				c->note = x;
			else if (*x->title && c->n < COLUMNS_MAX)
				c->list[c->n++] = x;
		}
}

static void
columns_measure(struct columns *c, const json_t *rows)
{
	char buf[CELL_MAX];
	const json_t *row;
	size_t i;

	for (size_t k = 0; k < c->n; k++) {
		const struct field *x = c->list[k];

		c->width[k] = (int)strlen(x->title);
		json_array_foreach(rows, i, row)
		{
			const json_t *v = json_object_get(row, x->key);
			int n = (int)strlen(value_text(v, x->unit, buf));

			c->width[k] = n > c->width[k] ? n : c->width[k];
		}
	}
}

/* The text of column k, and the gap before the next. */
static void
print_cell(const struct columns *c, size_t k, const char *text, bool right)
{
	bool end = k + 1 == c->n && !c->last;

	printf(right ? "%*s%s" : "%-*s%s", end && !right ? 0 : c->width[k], text,
	       end ? "\n" : "  ");
}

static void
print_row(const struct columns *c, const json_t *row)
{
	const char *note = c->note ? json_string_value(json_object_get(row, c->note->key)) : NULL;
	char buf[CELL_MAX];

	for (size_t k = 0; k < c->n; k++) {
		const json_t *v = json_object_get(row, c->list[k]->key);

		print_cell(c, k, value_text(v, c->list[k]->unit, buf),
			   json_is_integer(v) && !is_date(c->list[k]->unit));
	}
	if (c->last) {
		c->last->print(row);
		printf("\n");
	}
	if (note && *note)
		printf("    %s\n", note);
}

void
show_rows(const json_t *rows, const struct fields *const *parts, const struct show_column *last)
{
	struct columns c = {.last = last};
	const json_t *row;
	size_t i;

	columns_collect(&c, parts);
	columns_measure(&c, rows);
	for (size_t k = 0; k < c.n; k++)
		print_cell(&c, k, c.list[k]->title, false);
	if (last)
		printf("%s\n", last->title);
	json_array_foreach(rows, i, row) print_row(&c, row);
}
