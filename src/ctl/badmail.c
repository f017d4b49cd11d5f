/* SPDX-License-Identifier: Apache-2.0 */
/*
 * restantectl badmail: the server answers page by page (src/badmail/badmail_admin.c); here they
 * are asked for one after another, added up and shown.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/num.h"
#include "ctl/ctl.h"

#define PAGE 50

static json_int_t
badmail_num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static const char *
badmail_text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static const char *
badmail_when(json_int_t ms, char *buf, size_t cap)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(buf, cap, "%Y-%m-%d %H:%M", &tm) == 0)
		snprintf(buf, cap, "-");
	return buf;
}

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
		const char *opt, *key;
	} times[] = {{"since", "since_ms"}, {"before", "before_ms"}};

	for (size_t i = 0; i < 2; i++) {
		const char *s = ctl_opt(c, times[i].opt);
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
		json_object_set_new(r, times[i].key, json_integer(ms));
	}
	return true;
}

/* NULL: said. */
static json_t *
badmail_question(const struct ctl *c, const char *action)
{
	static const struct {
		const char *opt, *key;
	} filters[] = {{"class", "class"},
		       {"reason", "reason"},
		       {"code", "code"},
		       {"sender", "sender"},
		       {"sender-domain", "sender_domain"},
		       {"recipient", "recipient"},
		       {"source", "source"}};
	json_t *r = json_pack("{s:s, s:s}", "verb", "badmail", "action", action), *ids;
	const char *cls = ctl_opt(c, "class");

	if (cls && strcmp(cls, "retry") != 0 && strcmp(cls, "refused") != 0) {
		fprintf(stderr, "restantectl: --class %s: expected retry or refused\n", cls);
		json_decref(r);
		return NULL;
	}
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
		if (ctl_opt(c, filters[i].opt))
			json_object_set_new(r, filters[i].key,
					    json_string(ctl_opt(c, filters[i].opt)));
	if (!add_times(c, r)) {
		json_decref(r);
		return NULL;
	}
	if (c->argc > 1) {
		ids = json_array();
		for (int i = 1; i < c->argc; i++)
			json_array_append_new(ids, json_string(c->argv[i]));
		json_object_set_new(r, "ids", ids);
	}
	return r;
}

static bool
has_filter(const json_t *question)
{
	return json_object_size(question) > 2;
}

/* One page; "next" goes into the question. NULL: said, or the end (then *ret_rc is 0). */
static json_t *
badmail_page(const struct ctl *c, json_t *q, int *ret_rc)
{
	json_t *a = ctl_ask(c, q, ret_rc);
	const char *next;

	if (!a)
		return NULL;
	if (!json_is_true(json_object_get(a, "ok"))) {
		*ret_rc = ctl_refused(a);
		json_decref(a);
		return NULL;
	}
	*ret_rc = 0;
	next = json_string_value(json_object_get(a, "next"));
	if (next)
		json_object_set_new(q, "after", json_string(next));
	else
		json_object_del(q, "after");
	return a;
}

static bool
is_last(const json_t *q)
{
	return !json_object_get(q, "after");
}

/* ---- list ------------------------------------------------------------------------------------ */

static void
badmail_put_item(const json_t *j)
{
	const json_t *rcpts = json_object_get(j, "recipients");
	const char *first = json_string_value(json_array_get(rcpts, 0)),
		   *sender = badmail_text(j, "sender");
	char t[24];

	printf("%-8s %-8s %-17s %9" JSON_INTEGER_FORMAT "  %-6s %-32.32s <%s> -> <%s>",
	       badmail_text(j, "id"), badmail_text(j, "class"),
	       badmail_when(badmail_num(j, "time_ms"), t, sizeof(t)), badmail_num(j, "octets"),
	       badmail_text(j, "code"), badmail_text(j, "reason"), sender, first ? first : "");
	if (json_array_size(rcpts) > 1)
		printf(" and %zu more", json_array_size(rcpts) - 1);
	printf("\n");
}

static int
run_list(const struct ctl *c, json_t *q)
{
	json_t *all = json_array(), *a, *j;
	uint64_t limit = PAGE, got = 0, read = 0;
	const char *wanted = ctl_opt(c, "limit");
	int rc = 0;
	size_t i;

	if (wanted && !num_parse(wanted, strlen(wanted), 1000000, &limit)) {
		fprintf(stderr, "restantectl: --limit %s: expected a number\n", wanted);
		json_decref(all);
		return EXIT_USAGE;
	}
	if (ctl_opt(c, "after"))
		json_object_set_new(q, "after", json_string(ctl_opt(c, "after")));
	do {
		json_object_set_new(q, "limit", json_integer((json_int_t)(limit - got)));
		a = badmail_page(c, q, &rc);
		json_array_foreach(json_object_get(a, "items"), i, j) json_array_append(all, j);
		got = json_array_size(all);
		read += (uint64_t)badmail_num(a, "read");
		json_decref(a);
	} while (a && got < limit && !is_last(q));
	if (c->json) {
		json_t *o = json_pack("{s:b, s:O, s:I, s:O?}", "ok", rc == 0, "items", all, "read",
				      (json_int_t)read, "next", json_object_get(q, "after"));

		json_dumpf(o, stdout, JSON_INDENT(1));
		printf("\n");
		json_decref(o);
	} else if (rc == 0) {
		if (got > 0)
			printf("%-8s %-8s %-17s %9s  %-6s %-32s %s\n", "ID", "CLASS", "TIME (UTC)",
			       "OCTETS", "CODE", "REASON", "SENDER -> RECIPIENT");
		json_array_foreach(all, i, j) badmail_put_item(j);
		printf("%zu items%s%s\n", json_array_size(all),
		       is_last(q) ? "" : "; more with --after ",
		       is_last(q) ? "" : badmail_text(q, "after"));
	}
	json_decref(all);
	return rc;
}

/* ---- stats ----------------------------------------------------------------------------------- */

/* groups: "class\nreason\ncode\ndomain" -> sums. Spam has as many domains as it likes, so none
 * of this may be quadratic. */
static void
badmail_merge(json_t *groups, json_t *g)
{
	json_t *key =
		json_sprintf("%s\n%s\n%s\n%s", badmail_text(g, "class"), badmail_text(g, "reason"),
			     badmail_text(g, "code"), badmail_text(g, "sender_domain"));
	json_t *x = json_object_get(groups, json_string_value(key));

	if (!x) {
		json_object_set(groups, json_string_value(key), g);
		json_decref(key);
		return;
	}
	json_decref(key);
	json_object_set_new(x, "items",
			    json_integer(badmail_num(x, "items") + badmail_num(g, "items")));
	json_object_set_new(x, "octets",
			    json_integer(badmail_num(x, "octets") + badmail_num(g, "octets")));
	if (badmail_num(g, "first_ms") < badmail_num(x, "first_ms"))
		json_object_set_new(x, "first_ms", json_integer(badmail_num(g, "first_ms")));
	if (badmail_num(g, "last_ms") > badmail_num(x, "last_ms"))
		json_object_set_new(x, "last_ms", json_integer(badmail_num(g, "last_ms")));
}

/* Adds up what differs only in what is not asked for. */
static json_t *
badmail_coarser(json_t *groups, bool by_domain)
{
	json_t *out = json_object(), *g;
	const char *key;

	json_object_foreach(groups, key, g)
	{
		json_t *copy = json_copy(g);

		if (by_domain) {
			json_object_set_new(copy, "reason", json_string(""));
			json_object_set_new(copy, "code", json_string(""));
		} else {
			json_object_set_new(copy, "sender_domain", json_string(""));
		}
		badmail_merge(out, copy);
		json_decref(copy);
	}
	return out;
}

static json_t *
list_of(json_t *groups)
{
	json_t *list = json_array(), *g;
	const char *key;

	json_object_foreach(groups, key, g) json_array_append(list, g);
	return list;
}

static int
by_items(const void *a, const void *b)
{
	json_int_t x = badmail_num(*(json_t *const *)a, "items"),
		   y = badmail_num(*(json_t *const *)b, "items");

	return x < y ? 1 : x > y ? -1 : 0;
}

static void
put_groups(json_t *groups, const char *title, bool by_domain)
{
	size_t n = json_object_size(groups), at = 0;
	json_t **sorted = calloc(n + 1, sizeof(*sorted)), *g;
	char a[24], b[24];
	const char *key;

	json_object_foreach(groups, key, g) if (sorted) sorted[at++] = g;
	if (sorted && n > 1)
		qsort(sorted, n, sizeof(*sorted), by_items);
	if (n > 0)
		printf("\n%-8s %9s %14s  %-17s %-17s %s\n", "CLASS", "ITEMS", "OCTETS",
		       "FIRST (UTC)", "LAST (UTC)", title);
	for (size_t i = 0; sorted && i < n && i < 40; i++)
		printf("%-8s %9" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT
		       "  %-17s %-17s %s%s%s\n",
		       badmail_text(sorted[i], "class"), badmail_num(sorted[i], "items"),
		       badmail_num(sorted[i], "octets"),
		       badmail_when(badmail_num(sorted[i], "first_ms"), a, sizeof(a)),
		       badmail_when(badmail_num(sorted[i], "last_ms"), b, sizeof(b)),
		       by_domain ? badmail_text(sorted[i], "sender_domain")
				 : badmail_text(sorted[i], "code"),
		       by_domain ? "" : " ", by_domain ? "" : badmail_text(sorted[i], "reason"));
	if (n > 40)
		printf("... and %zu more\n", n - 40);
	free(sorted);
}

static void
put_totals(const json_t *t)
{
	printf("waiting for their stores  %" JSON_INTEGER_FORMAT " items, %" JSON_INTEGER_FORMAT
	       " octets (at %" JSON_INTEGER_FORMAT " items or %" JSON_INTEGER_FORMAT
	       " octets no more is accepted)\n",
	       badmail_num(t, "retry_items"), badmail_num(t, "retry_octets"),
	       badmail_num(t, "max_items") / 2, badmail_num(t, "max_octets") / 2);
	printf("refused                   %" JSON_INTEGER_FORMAT " items, %" JSON_INTEGER_FORMAT
	       " octets\n",
	       badmail_num(t, "refused_items"), badmail_num(t, "refused_octets"));
	printf("bound                     %" JSON_INTEGER_FORMAT " items, %" JSON_INTEGER_FORMAT
	       " octets\n",
	       badmail_num(t, "max_items"), badmail_num(t, "max_octets"));
	printf("dropped so far            %" JSON_INTEGER_FORMAT " items, %" JSON_INTEGER_FORMAT
	       " octets; of these by age %" JSON_INTEGER_FORMAT "\n",
	       badmail_num(t, "dropped"), badmail_num(t, "dropped_octets"),
	       badmail_num(t, "expired"));
	printf("delivered by retries      %" JSON_INTEGER_FORMAT "\n", badmail_num(t, "delivered"));
	printf("door closed               %" JSON_INTEGER_FORMAT " times\n",
	       badmail_num(t, "door_closed"));
}

static int
run_stats(const struct ctl *c, json_t *q)
{
	json_t *groups = json_object(), *totals = NULL, *a, *g;
	uint64_t read = 0;
	int rc = 0;
	size_t i;

	do {
		a = badmail_page(c, q, &rc);
		json_array_foreach(json_object_get(a, "groups"), i, g) badmail_merge(groups, g);
		if (!totals)
			totals = json_incref(json_object_get(a, "totals"));
		read += (uint64_t)badmail_num(a, "read");
		json_decref(a);
	} while (a && !is_last(q));
	if (rc == 0 && c->json) {
		json_t *o = json_pack("{s:b, s:O, s:o, s:I}", "ok", 1, "totals", totals, "groups",
				      list_of(groups), "read", (json_int_t)read);

		json_dumpf(o, stdout, JSON_INDENT(1));
		printf("\n");
		json_decref(o);
	} else if (rc == 0) {
		json_t *reasons = badmail_coarser(groups, false),
		       *domains = badmail_coarser(groups, true);

		put_totals(totals);
		put_groups(reasons, "REASON", false);
		put_groups(domains, "SENDER'S DOMAIN", true);
		json_decref(reasons);
		json_decref(domains);
	}
	json_decref(totals);
	json_decref(groups);
	return rc;
}

/* ---- retry, purge, show ---------------------------------------------------------------------- */

/* One at a time of the named ones: a page takes four. */
static int
run_retry(const struct ctl *c, json_t *q)
{
	json_int_t asked = 0, delivered = 0, failed = 0, working = 0;
	json_t *a, *ids = json_incref(json_object_get(q, "ids"));
	size_t at = 0, n = json_array_size(ids);
	int rc = 0;

	do {
		if (ids) {
			json_t *some = json_array();

			for (size_t k = 0; k < 4 && at < n; k++)
				json_array_append(some, json_array_get(ids, at++));
			json_object_set_new(q, "ids", some);
		}
		a = badmail_page(c, q, &rc);
		asked += badmail_num(a, "asked");
		delivered += badmail_num(a, "delivered");
		failed += badmail_num(a, "failed");
		working += badmail_num(a, "working");
		json_decref(a);
		if (a && !c->json)
			fprintf(stderr,
				"retry: %" JSON_INTEGER_FORMAT " tried, %" JSON_INTEGER_FORMAT
				" delivered\n",
				asked, delivered);
	} while (a && (ids ? at < n : !is_last(q)));
	json_decref(ids);
	if (rc != 0)
		return rc;
	if (c->json)
		printf("{\"ok\": true, \"asked\": %" JSON_INTEGER_FORMAT
		       ", \"delivered\": %" JSON_INTEGER_FORMAT
		       ", \"failed\": %" JSON_INTEGER_FORMAT ", \"working\": %" JSON_INTEGER_FORMAT
		       "}\n",
		       asked, delivered, failed, working);
	else
		printf("%" JSON_INTEGER_FORMAT " delivered, %" JSON_INTEGER_FORMAT
		       " not, %" JSON_INTEGER_FORMAT " still at work\n",
		       delivered, failed, working);
	return failed + working > 0;
}

static int
run_purge(const struct ctl *c, json_t *q)
{
	json_int_t purged = 0;
	json_t *a;
	int rc = 0;

	if (!has_filter(q) && !ctl_opt(c, "all")) {
		fprintf(stderr, "restantectl: purge needs IDs, a filter, or --all\n");
		return EXIT_USAGE;
	}
	/* accepted mail goes only when it is named, or its class is */
	if (!json_object_get(q, "ids") && !json_object_get(q, "class"))
		json_object_set_new(q, "class", json_string("refused"));
	do {
		a = badmail_page(c, q, &rc);
		purged += badmail_num(a, "purged");
		json_decref(a);
	} while (a && !is_last(q));
	if (rc == 0 && c->json)
		printf("{\"ok\": true, \"purged\": %" JSON_INTEGER_FORMAT "}\n", purged);
	else if (rc == 0)
		printf("%" JSON_INTEGER_FORMAT " items purged\n", purged);
	return rc;
}

static int
run_show(const struct ctl *c, json_t *q)
{
	int rc = 0;
	json_t *a, *v;
	const char *key;

	if (!json_object_get(q, "ids")) {
		fprintf(stderr,
			"restantectl: show needs an item's ID; see restantectl badmail list\n");
		return EXIT_USAGE;
	}
	a = badmail_page(c, q, &rc);
	if (!a)
		return rc;
	if (c->json) {
		json_dumpf(a, stdout, JSON_INDENT(1));
		printf("\n");
	} else {
		json_object_foreach(json_object_get(a, "item"), key, v)
		{
			char *s = json_dumps(v, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

			printf("%-14s %s\n", key, s ? s : "");
			free(s);
		}
		printf("%-14s %s\n\n%s", "file", badmail_text(a, "file"), badmail_text(a, "head"));
	}
	json_decref(a);
	return 0;
}

int
run_badmail(const struct ctl *c, const struct verb *v)
{
	static const struct {
		const char *name;
		int (*run)(const struct ctl *c, json_t *q);
	} actions[] = {{"list", run_list},
		       {"stats", run_stats},
		       {"retry", run_retry},
		       {"purge", run_purge},
		       {"show", run_show}};
	json_t *q;
	int rc;

	(void)v;
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		if (strcmp(actions[i].name, c->argv[0]) != 0)
			continue;
		/* purge --limit 10 would purge all */
		if (i > 0 && (ctl_opt(c, "limit") || ctl_opt(c, "after"))) {
			fprintf(stderr,
				"restantectl: badmail %s: --limit and --after are list's; name the "
				"items, or filter\n",
				actions[i].name);
			return EXIT_USAGE;
		}
		q = badmail_question(c, c->argv[0]);
		if (!q)
			return EXIT_USAGE;
		rc = actions[i].run(c, q);
		json_decref(q);
		return rc;
	}
	fprintf(stderr, "restantectl: badmail: list, show, retry, purge or stats, not '%s'\n",
		c->argv[0]);
	return EXIT_USAGE;
}
