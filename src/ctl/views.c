/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/views.h"

#include <inttypes.h>
#include <stdio.h>

#include "answer/answers.h"
#include "ctl/show.h"

void
view_status(const json_t *answer)
{
	show_fields(answer, &answers_status);
}

void
view_metrics(const json_t *answer)
{
	struct answer_metrics a;

	ANSWER_GET(answer, metrics, &a);
	fputs(a.text, stdout);
}

void
view_sessions(const json_t *answer)
{
	static const struct fields *const parts[] = {&answers_session, NULL};
	struct answer_sessions a;

	ANSWER_GET(answer, sessions, &a);
	show_rows(a.sessions, parts, NULL);
}

/* ---- modules --------------------------------------------------------------------------------- */

/* Rows made here: a section's counters, those that have counted. */
static const struct field event_list[] = {
	{"section", "SECTION", FIELD_TEXT, UNIT_NONE},
	{"event", "EVENT", FIELD_TEXT, UNIT_NONE},
	{"count", "COUNT", FIELD_NUMBER, UNIT_NONE},
};
static const struct fields events = {"", event_list, sizeof(event_list) / sizeof(event_list[0])};

static void
view_events(const json_t *modules)
{
	static const struct fields *const parts[] = {&events, NULL};
	json_t *rows = json_array(), *m, *n;
	struct answer_module a;
	const char *name;
	size_t i;

	json_array_foreach(modules, i, m)
	{
		ANSWER_GET(m, module, &a);
		json_object_foreach(a.counters, name, n)
		{
			if (json_integer_value(n) != 0)
				json_array_append_new(rows, json_pack("{s:s, s:s, s:O}", "section",
								      a.section, "event", name,
								      "count", n));
		}
	}
	if (json_array_size(rows) > 0) {
		printf("\n");
		show_rows(rows, parts, NULL);
	}
	json_decref(rows);
}

void
view_modules(const json_t *answer)
{
	static const struct fields *const sections[] = {&answers_module, &answers_module_gate,
							&answers_module_cache, NULL};
	static const struct fields *const calls[] = {&answers_call, NULL};
	struct answer_modules a;

	ANSWER_GET(answer, modules, &a);
	show_rows(a.modules, sections, NULL);
	view_events(a.modules);
	if (json_array_size(a.calls) > 0) {
		printf("\n");
		show_rows(a.calls, calls, NULL);
	}
}

/* ---- user, auth test ------------------------------------------------------------------------- */

static void
view_step(const json_t *step)
{
	struct answer_step_time t;
	struct answer_step a;

	ANSWER_GET(step, step, &a);
	printf("  auth section %s: %s%s%s", a.section, a.answer, *a.detail ? ": " : "", a.detail);
	if (ANSWER_GET(step, step_time, &t))
		printf(" (%" PRIu64 " ms)", t.ms);
	printf("\n");
	if (*a.cache)
		printf("    its cache: %s\n", a.cache);
	if (*a.last_known_good)
		printf("    last known good: %s\n", a.last_known_good);
}

static void
view_chain(const json_t *chain)
{
	const json_t *step;
	size_t i;

	json_array_foreach(chain, i, step) view_step(step);
}

static void
view_account(const json_t *answer)
{
	show_fields(answer, &answers_account);
	show_fields(answer, &answers_mailbox);
	show_fields(answer, &answers_content);
}

void
view_user(const json_t *answer)
{
	struct answer_user a;

	ANSWER_GET(answer, user, &a);
	printf("asked for %s\n", a.name);
	view_chain(a.chain);
	view_account(answer);
	show_fields(answer, &answers_user);
}

void
view_auth(const json_t *answer)
{
	struct answer_auth a;

	ANSWER_GET(answer, auth, &a);
	printf("asked for %s, password %s\n", a.name, a.password);
	view_chain(a.chain);
	view_account(answer);
	show_fields(answer, &answers_auth);
}

/* ---- volumes --------------------------------------------------------------------------------- */

void
view_volumes(const json_t *answer)
{
	static const struct fields *const parts[] = {&answers_volume, NULL};
	struct answer_volumes a;

	ANSWER_GET(answer, volumes, &a);
	if (json_array_size(a.volumes) == 0)
		printf("no volume blocks in the configuration\n");
	else
		show_rows(a.volumes, parts, NULL);
}

/* ---- clock ----------------------------------------------------------------------------------- */

void
view_clock(const json_t *answer)
{
	show_fields(answer, &answers_clock);
}
