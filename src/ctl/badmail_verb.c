/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/badmail_verb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "answer/answers.h"
#include "answer/requests.h"
#include "base/num.h"
#include "ctl/badmail_stats.h"
#include "ctl/pages.h"
#include "ctl/show.h"

#define LIST_LIMIT 50   /* items, without --limit */
#define RETRY_AT_ONCE 4 /* items of a request */

/* ---- the question ---------------------------------------------------------------------------- */

/* "2026-11-24", "2026-11-24T18:00", or an age: 90m, 12h, 7d. False: none of these. */
static bool
parse_time(const char *s, json_int_t *ret_ms)
{
	static const char *const formats[] = {"%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};
	size_t n = strlen(s);
	uint64_t age;

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm = {0};
		const char *end = strptime(s, formats[i], &tm);

		if (end && !*end) {
			*ret_ms = (json_int_t)timegm(&tm) * 1000;
			return true;
		}
	}
	if (n < 2 || !strchr("mhd", s[n - 1]) || !num_parse(s, n - 1, 1000000, &age))
		return false;
	*ret_ms = ((json_int_t)time(NULL) - (json_int_t)age * (s[n - 1] == 'm'   ? 60
							       : s[n - 1] == 'h' ? 3600
										 : 86400)) *
		  1000;
	return true;
}

static bool
add_times(const struct ctl *c, json_t *r)
{
	static const struct {
		const char *opt;
		const struct request_key *key;
	} times[] = {{"since", &request_key_since_ms}, {"before", &request_key_before_ms}};

	for (size_t i = 0; i < 2; i++) {
		const char *s = options_get(c, times[i].opt);
		json_int_t ms;

		if (!s)
			continue;
		if (!parse_time(s, &ms)) {
			fprintf(stderr,
				"restantectl: --%s %s: expected 2026-11-24, 2026-11-24T18:00, or "
				"an age like 12h or 7d\n",
				times[i].opt, s);
			return false;
		}
		json_object_set_new(r, times[i].key->name, json_integer(ms));
	}
	return true;
}

/* NULL: the reason was printed. */
static json_t *
badmail_verb_question(const struct ctl *c, const struct request *asks)
{
	static const struct {
		const char *opt;
		const struct request_key *key;
	} filters[] = {{"class", &request_key_class},
		       {"reason", &request_key_reason},
		       {"code", &request_key_code},
		       {"sender", &request_key_sender},
		       {"sender-domain", &request_key_sender_domain},
		       {"recipient", &request_key_recipient},
		       {"source", &request_key_source}};
	json_t *r = requests_new(asks), *ids;
	const char *cls = options_get(c, "class");

	if (cls && strcmp(cls, "retry") != 0 && strcmp(cls, "refused") != 0) {
		fprintf(stderr, "restantectl: --class %s: expected retry or refused\n", cls);
		json_decref(r);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (options_get(c, filters[i].opt))
			json_object_set_new(r, filters[i].key->name,
					    json_string(options_get(c, filters[i].opt)));
	if (!add_times(c, r)) {
		json_decref(r);
		return NULL;
	}
	if (c->argc > 1) {
		ids = json_array();
		for (int i = 1; i < c->argc; i++)
			json_array_append_new(ids, json_string(c->argv[i]));
		REQUEST_PUT(r, ids, ids);
	}
	return r;
}

static bool
has_filter(const json_t *question)
{
	return json_object_size(question) > 2;
}

/* ---- list ------------------------------------------------------------------------------------ */

static void
print_envelope(const json_t *row)
{
	struct answer_badmail_item i;
	const char *first;

	ANSWER_GET(row, badmail_item, &i);
	first = json_string_value(json_array_get(i.recipients, 0));
	printf("<%s> -> <%s>", i.sender, first ? first : "");
	if (json_array_size(i.recipients) > 1)
		printf(" and %zu more", json_array_size(i.recipients) - 1);
}

static void
view_list(const json_t *answer)
{
	static const struct show_column envelope = {"SENDER -> RECIPIENT", print_envelope};
	static const struct fields *const parts[] = {&answers_badmail_id, &answers_badmail_item,
						     NULL};
	struct answer_badmail_list l;
	struct answer_badmail_page p;

	ANSWER_GET(answer, badmail_list, &l);
	ANSWER_GET(answer, badmail_page, &p);
	if (json_array_size(l.items) > 0)
		show_rows(l.items, parts, &envelope);
	printf("%zu items%s%s\n", json_array_size(l.items), *p.next ? "; more with --after " : "",
	       p.next);
}

static int
run_list(const struct ctl *c, json_t *q)
{
	const char *wanted = options_get(c, "limit"), *after = options_get(c, "after");
	struct answer_badmail_list all = {0}, l;
	struct answer_badmail_page p = {0};
	uint64_t limit = LIST_LIMIT;
	struct pages pages;
	json_t *a, *o;

	if (wanted && !num_parse(wanted, strlen(wanted), 1000000, &limit)) {
		fprintf(stderr, "restantectl: --limit %s: expected a number\n", wanted);
		return EX_USAGE;
	}
	pages_begin(&pages, c, q, after);
	all.items = json_array();
	do {
		pages_limit(&pages, limit - json_array_size(all.items));
		a = pages_next(&pages);
		ANSWER_GET(a, badmail_list, &l);
		json_array_extend(all.items, l.items);
		json_decref(a);
	} while (a && json_array_size(all.items) < limit && !pages.end);
	p.read = pages.read;
	p.next = pages_after(&pages);
	o = answers_new();
	ANSWER_PUT(o, badmail_list, &all);
	ANSWER_PUT(o, badmail_page, &p);
	return pages_show(&pages, o, view_list);
}

/* ---- retry, purge, show ---------------------------------------------------------------------- */

static void
view_retry(const json_t *answer)
{
	struct answer_badmail_retry r;

	ANSWER_GET(answer, badmail_retry, &r);
	printf("%" PRIu64 " delivered, %" PRIu64 " not, %" PRIu64 " still at work\n", r.delivered,
	       r.failed, r.working);
}

/* The next few of the items that were named. */
static void
name_some(json_t *q, json_t *ids, size_t *at)
{
	json_t *some = json_array();

	for (size_t k = 0; k < RETRY_AT_ONCE && *at < json_array_size(ids); k++)
		json_array_append(some, json_array_get(ids, (*at)++));
	REQUEST_PUT(q, ids, some);
}

static int
run_retry(const struct ctl *c, json_t *q)
{
	struct answer_badmail_retry sum = {0}, r;
	json_t *a, *o, *ids = json_incref(REQUEST_GET(q, ids));
	struct pages pages;
	size_t at = 0;
	int rc;

	pages_begin(&pages, c, q, NULL);
	do {
		if (ids)
			name_some(q, ids, &at);
		a = pages_next(&pages);
		ANSWER_GET(a, badmail_retry, &r);
		sum.asked += r.asked;
		sum.delivered += r.delivered;
		sum.failed += r.failed;
		sum.working += r.working;
		json_decref(a);
		if (a && !c->json)
			fprintf(stderr, "retry: %" PRIu64 " tried, %" PRIu64 " delivered\n",
				sum.asked, sum.delivered);
	} while (a && (ids ? at < json_array_size(ids) : !pages.end));
	json_decref(ids);
	o = answers_new();
	ANSWER_PUT(o, badmail_retry, &sum);
	rc = pages_show(&pages, o, view_retry);
	return rc != 0 ? rc : sum.failed + sum.working > 0;
}

static void
view_purge(const json_t *answer)
{
	struct answer_badmail_purge p;

	ANSWER_GET(answer, badmail_purge, &p);
	printf("%" PRIu64 " items purged\n", p.purged);
}

static int
run_purge(const struct ctl *c, json_t *q)
{
	struct answer_badmail_purge sum = {0}, p;
	struct pages pages;
	json_t *a, *o;

	if (!has_filter(q) && !options_get(c, "all")) {
		fprintf(stderr, "restantectl: purge needs IDs, a filter, or --all\n");
		return EX_USAGE;
	}
	/* accepted mail goes only when it is named, or its class is */
	if (!REQUEST_GET(q, ids) && !REQUEST_GET(q, class))
		REQUEST_PUT(q, class, json_string("refused"));
	pages_begin(&pages, c, q, NULL);
	do {
		a = pages_next(&pages);
		ANSWER_GET(a, badmail_purge, &p);
		sum.purged += p.purged;
		sum.missing += p.missing;
		json_decref(a);
	} while (a && !pages.end);
	o = answers_new();
	ANSWER_PUT(o, badmail_purge, &sum);
	return pages_show(&pages, o, view_purge);
}

static void
view_show(const json_t *answer)
{
	struct answer_badmail_show s;
	const char *key;
	json_t *v;

	ANSWER_GET(answer, badmail_show, &s);
	json_object_foreach(s.item, key, v)
	{
		char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

		printf("%-14s %s\n", key, text ? text : "");
		free(text);
	}
	printf("%-14s %s\n\n%s", "file", s.file, s.head);
}

static int
run_show(const struct ctl *c, json_t *q)
{
	struct pages pages;

	if (!REQUEST_GET(q, ids)) {
		fprintf(stderr,
			"restantectl: show needs an item's ID; see restantectl badmail list\n");
		return EX_USAGE;
	}
	pages_begin(&pages, c, q, NULL);
	return pages_show(&pages, pages_next(&pages), view_show);
}

int
badmail_verb(const struct ctl *c)
{
	static const struct {
		const struct request *asks;
		int (*run)(const struct ctl *c, json_t *q);
	} actions[] = {{&request_badmail_list, run_list},
		       {&request_badmail_stats, badmail_stats},
		       {&request_badmail_retry, run_retry},
		       {&request_badmail_purge, run_purge},
		       {&request_badmail_show, run_show}};
	json_t *q;
	int rc;

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].asks->action, c->argv[0]) != 0)
			continue;
		/* purge --limit 10 would purge all */
		if (i > 0 && (options_get(c, "limit") || options_get(c, "after"))) {
			fprintf(stderr,
				"restantectl: badmail %s: --limit and --after are list's; name the "
				"items, or filter\n",
				actions[i].asks->action);
			return EX_USAGE;
		}
		q = badmail_verb_question(c, actions[i].asks);
		if (!q)
			return EX_USAGE;
		rc = actions[i].run(c, q);
		json_decref(q);
		return rc;
	}
	fprintf(stderr, "restantectl: badmail: list, show, retry, purge or stats, not '%s'\n",
		c->argv[0]);
	return EX_USAGE;
}
