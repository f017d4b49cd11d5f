/* SPDX-License-Identifier: Apache-2.0 */
/* Answers as tables: columns as wide as their widest value, numbers to the right. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl/ctl.h"

#define COLUMNS_MAX 16
#define CELL_MAX 80

struct column {
	const char *key, *title;
};

/* A value as text. */
static const char *
table_cell(const json_t *row, const char *key, char *buf)
{
	const json_t *v = json_object_get(row, key);

	if (json_is_integer(v))
		snprintf(buf, CELL_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(buf, CELL_MAX, "%s", json_is_true(v) ? "yes" : "no");
	else
		snprintf(buf, CELL_MAX, "%s", json_string_value(v) ? json_string_value(v) : "-");
	if (!*buf)
		snprintf(buf, CELL_MAX, "-");
	return buf;
}

static void
print_table(const json_t *rows, const struct column *columns, size_t n)
{
	int width[COLUMNS_MAX];
	char buf[CELL_MAX];
	const json_t *row;
	size_t i;

	for (size_t k = 0; k < n; k++)
		width[k] = (int)strlen(columns[k].title);
	json_array_foreach(rows, i,
			   row) for (size_t k = 0; k < n;
				     k++) if ((int)strlen(table_cell(row, columns[k].key, buf)) >
					      width[k]) width[k] = (int)strlen(buf);
	for (size_t k = 0; k < n; k++)
		printf("%-*s%s", width[k], columns[k].title, k + 1 < n ? "  " : "\n");
	json_array_foreach(rows, i, row)
	{
		for (size_t k = 0; k < n; k++) {
			bool number = json_is_integer(json_object_get(row, columns[k].key));

			printf(number ? "%*s%s" : "%-*s%s", width[k],
			       table_cell(row, columns[k].key, buf), k + 1 < n ? "  " : "\n");
		}
	}
}

static void
print_pairs(const json_t *o, const char *const *keys, size_t n)
{
	char buf[CELL_MAX];

	for (size_t k = 0; k < n; k++)
		if (json_object_get(o, keys[k]))
			printf("%-24s %s\n", keys[k], table_cell(o, keys[k], buf));
}

static void
print_object(const char *title, json_t *o)
{
	char buf[CELL_MAX];
	const char *key;
	json_t *v;

	printf("%s\n", title);
	json_object_foreach(o, key, v) printf("  %-42s %s\n", key, table_cell(o, key, buf));
}

void
table_status(const json_t *answer)
{
	static const char *const keys[] = {"version",
					   "pid",
					   "uptime_s",
					   "configuration",
					   "configuration_serial",
					   "workers",
					   "connections",
					   "logged_in",
					   "queue_depth",
					   "queue_head_age_ms",
					   "calls",
					   "calls_overdue",
					   "log_lines_dropped"};
	json_int_t end = json_integer_value(json_object_get(answer, "certificate_not_after"));
	char text[40];
	struct tm tm;
	time_t t = (time_t)end;

	print_pairs(answer, keys, sizeof(keys) / sizeof(keys[0]));
	if (end > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M UTC", &tm))
		printf("%-24s %s\n", "certificate valid until", text);
	print_object("sessions", json_object_get(answer, "sessions"));
	print_object("door", json_object_get(answer, "door"));
	print_object("counters", json_object_get(answer, "counters"));
}

void
table_metrics(const json_t *answer)
{
	const char *text = json_string_value(json_object_get(answer, "text"));

	fputs(text ? text : "", stdout);
}

void
table_sessions(const json_t *answer)
{
	static const struct column columns[] = {
		{"id", "ID"},
		{"user", "USER"},
		{"state", "STATE"},
		{"where", "WHERE"},
		{"tls", "TLS"},
		{"age_s", "AGE"},
		{"idle_s", "IDLE"},
		{"messages", "MSGS"},
		{"deleted_pending", "DELE"},
		{"octets_out", "OCTETS"},
		{"peer", "PEER"},
	};

	print_table(json_object_get(answer, "sessions"), columns,
		    sizeof(columns) / sizeof(columns[0]));
}

/* What modules have counted; not what never happened. */
static void
print_events(json_t *modules)
{
	static const struct column columns[] = {
		{"section", "SECTION"}, {"event", "EVENT"}, {"count", "COUNT"}};
	json_t *rows = json_array(), *m, *n;
	const char *name;
	size_t i;

	json_array_foreach(modules, i, m) json_object_foreach(json_object_get(m, "counters"), name,
							      n) if (json_integer_value(n) != 0)
		json_array_append_new(rows, json_pack("{s:O, s:s, s:O}", "section",
						      json_object_get(m, "section"), "event", name,
						      "count", n));
	if (json_array_size(rows) > 0) {
		printf("\n");
		print_table(rows, columns, sizeof(columns) / sizeof(columns[0]));
	}
	json_decref(rows);
}

void
table_modules(const json_t *answer)
{
	static const struct column sections[] = {
		{"kind", "KIND"},         {"section", "SECTION"},   {"module", "MODULE"},
		{"version", "VERSION"},   {"permits", "PERMITS"},   {"in_use", "USED"},
		{"waiting", "WAIT"},      {"breaker", "BREAKER"},   {"calls", "CALLS"},
		{"refused", "REFUSED"},   {"failures", "FAILED"},   {"overdue", "OVERDUE"},
		{"average_us", "AVG us"}, {"slowest_ms", "MAX ms"}, {"cached", "CACHED"},
	};
	static const struct column calls[] = {
		{"gate", "IN"},       {"method", "METHOD"},   {"session", "SESSION"},
		{"for_ms", "FOR ms"}, {"overdue", "OVERDUE"},
	};
	const json_t *under_way = json_object_get(answer, "calls");

	print_table(json_object_get(answer, "modules"), sections,
		    sizeof(sections) / sizeof(sections[0]));
	print_events(json_object_get(answer, "modules"));
	if (json_array_size(under_way) > 0) {
		printf("\n");
		print_table(under_way, calls, sizeof(calls) / sizeof(calls[0]));
	}
}

void
table_user(const json_t *answer)
{
	static const char *const keys[] = {"user",     "state",  "pop3",    "delete",
					   "key",      "home",   "storage", "open",
					   "messages", "octets", "mailbox", "result"};
	const json_t *step;
	char buf[CELL_MAX];
	size_t i;

	printf("asked for %s\n", table_cell(answer, "name", buf));
	json_array_foreach(json_object_get(answer, "chain"), i, step)
	{
		const char *detail = json_string_value(json_object_get(step, "detail"));

		printf("  auth section %s ", table_cell(step, "section", buf));
		printf("%s%s%s\n", table_cell(step, "answer", buf), detail && *detail ? ": " : "",
		       detail ? detail : "");
	}
	print_pairs(answer, keys, sizeof(keys) / sizeof(keys[0]));
}

void
table_auth(const json_t *answer)
{
	static const char *const keys[] = {
		"user",           "state",  "rights",  "quota_octets", "quota_messages",
		"password_label", "key",    "home",    "storage",      "open",
		"messages",       "octets", "mailbox", "reply"};
	const json_t *step;
	char buf[CELL_MAX];
	size_t i;

	printf("asked for %s, password %s\n", json_string_value(json_object_get(answer, "name")),
	       json_string_value(json_object_get(answer, "password")));
	json_array_foreach(json_object_get(answer, "chain"), i, step)
	{
		const char *detail = json_string_value(json_object_get(step, "detail"));
		const char *cache = json_string_value(json_object_get(step, "cache"));
		const char *good = json_string_value(json_object_get(step, "last_known_good"));

		printf("  auth section %s: %s", table_cell(step, "section", buf),
		       json_string_value(json_object_get(step, "answer")));
		if (detail && *detail)
			printf(": %s", detail);
		if (json_object_get(step, "ms"))
			printf(" (%s ms)", table_cell(step, "ms", buf));
		printf("\n");
		if (cache)
			printf("    its cache: %s\n", cache);
		if (good)
			printf("    last known good: %s\n", good);
	}
	print_pairs(answer, keys, sizeof(keys) / sizeof(keys[0]));
	printf("%-24s %s\n", "result", json_string_value(json_object_get(answer, "result")));
}
