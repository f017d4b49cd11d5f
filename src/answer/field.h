/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field - a field of an answer on the control socket: its key, its type, its unit, and the title
 * people see. The tables are in answers.h, one for each verb and each kind of row. The server turns
 * a struct into JSON by its table, restantectl turns the JSON into the same struct, or prints it by
 * the titles; so a key stands in one place only.
 *
 * Pure but for memory. Any thread.
 */
#ifndef RST_ANSWER_FIELD_H
#define RST_ANSWER_FIELD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_type {
	FIELD_TEXT,    /* const char *; NULL: the field is left out */
	FIELD_NOTE,    /* the same; in a table it has a line of its own below its row */
	FIELD_NUMBER,  /* uint64_t */
	FIELD_NONZERO, /* uint64_t; 0: the field is left out */
	FIELD_YESNO,   /* bool */
	FIELD_OBJECT,  /* json_t *, taken over; NULL: the field is left out */
	FIELD_LIST,    /* the same */
};

enum field_unit {
	UNIT_NONE,
	UNIT_S,
	UNIT_MS,
	UNIT_US,
	UNIT_OCTETS,
	UNIT_SIZE,    /* octets; people see K, M, G */
	UNIT_DATE,    /* seconds since 1970; people see a date */
	UNIT_DATE_MS, /* milliseconds since 1970; likewise */
};

struct field {
	const char *key;
	const char *title; /* "": for programs only */
	enum field_type type;
	enum field_unit unit;
};

/* Octets a value takes in the struct of its table, whatever its type: the n-th field is n places
 * from the beginning. */
#define FIELD_PLACE 8

struct fields {
	const char *heading; /* the verb, and the part of its answer; restantectl(8) has it */
	const struct field *list;
	size_t n;
};

/* Sets each field in o; lists and objects are taken over. */
void fields_put(json_t *o, const struct fields *f, const void *values);
/* The other way round: a field that is missing is 0, false, "" or NULL, all else borrowed from
 * o. True: the first field is there. */
bool fields_get(const json_t *o, const struct fields *f, void *ret_values);

#endif
