/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/badmail_stats.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "answer/badmail_sums.h"
#include "ctl/pages.h"
#include "ctl/show.h"

#define GROUPS_SHOWN 40

/* ---- sums ------------------------------------------------------------------------------------ */

/* Adds up the groups that differ only in the fields that are not shown. */
static json_t *
sums_coarser(const json_t *groups, bool by_domain)
{
	json_t *sums = json_object(), *g;
	struct answer_badmail_group x;
	size_t i;

	json_array_foreach(groups, i, g)
	{
		ANSWER_GET(g, badmail_group, &x);
		if (by_domain)
			x.reason = x.code = "";
		else
			x.sender_domain = "";
		badmail_sums_add(sums, &x);
	}
	return sums;
}

/* ---- for people ------------------------------------------------------------------------------ */

static void
print_reason(const json_t *row)
{
	struct answer_badmail_group g;

	ANSWER_GET(row, badmail_group, &g);
	printf("%s %s", g.code, g.reason);
}

static void
print_domain(const json_t *row)
{
	struct answer_badmail_group g;

	ANSWER_GET(row, badmail_group, &g);
	printf("%s", g.sender_domain);
}

static int
by_items(const void *a, const void *b)
{
	struct answer_badmail_group x, y;

	ANSWER_GET(*(json_t *const *)a, badmail_group, &x);
	ANSWER_GET(*(json_t *const *)b, badmail_group, &y);
	return x.items < y.items ? 1 : x.items > y.items ? -1 : 0;
}

/* The largest groups, and how many others there are. Takes the list over. */
static void
print_groups(json_t *list, const struct show_column *last)
{
	static const struct fields *const parts[] = {&answers_badmail_group, NULL};
	size_t n = json_array_size(list), i;
	json_t **sorted = calloc(n + 1, sizeof(*sorted)), *g, *shown = json_array();

	json_array_foreach(list, i, g)
	{
		if (sorted)
			sorted[i] = g;
	}
	if (sorted && n > 1)
		qsort(sorted, n, sizeof(*sorted), by_items);
	for (i = 0; sorted && i < n && i < GROUPS_SHOWN; i++)
		json_array_append(shown, sorted[i]);
	if (n > 0) {
		printf("\n");
		show_rows(shown, parts, last);
	}
	if (n > GROUPS_SHOWN)
		printf("... and %zu more\n", n - GROUPS_SHOWN);
	json_decref(shown);
	json_decref(list);
	free(sorted);
}

static void
print_totals(const json_t *totals)
{
	struct answer_badmail_totals t;

	ANSWER_GET(totals, badmail_totals, &t);
	printf("waiting for their stores  %" PRIu64 " items, %" PRIu64 " octets (at %" PRIu64
	       " items or %" PRIu64 " octets no more is accepted)\n",
	       t.retry_items, t.retry_octets, t.max_items / 2, t.max_octets / 2);
	printf("refused                   %" PRIu64 " items, %" PRIu64 " octets\n", t.refused_items,
	       t.refused_octets);
	printf("bound                     %" PRIu64 " items, %" PRIu64 " octets\n", t.max_items,
	       t.max_octets);
	printf("dropped so far            %" PRIu64 " items, %" PRIu64
	       " octets; of these by age %" PRIu64 "\n",
	       t.dropped, t.dropped_octets, t.expired);
	printf("delivered by retries      %" PRIu64 "\n", t.delivered);
	printf("door closed               %" PRIu64 " times\n", t.door_closed);
}

static void
view_stats(const json_t *answer)
{
	static const struct show_column reason = {"REASON", print_reason},
					domain = {"SENDER'S DOMAIN", print_domain};
	struct answer_badmail_stats s;

	ANSWER_GET(answer, badmail_stats, &s);
	print_totals(s.totals);
	print_groups(badmail_sums_list(sums_coarser(s.groups, false)), &reason);
	print_groups(badmail_sums_list(sums_coarser(s.groups, true)), &domain);
}

/* ---- all pages ------------------------------------------------------------------------------- */

int
badmail_stats(const struct ctl *c, json_t *question)
{
	struct answer_badmail_stats all = {0}, s;
	struct answer_badmail_page p = {0};
	struct answer_badmail_group x;
	json_t *sums = json_object(), *a, *g, *o;
	struct pages pages;
	size_t i;

	pages_begin(&pages, c, question, NULL);
	do {
		a = pages_next(&pages);
		ANSWER_GET(a, badmail_stats, &s);
		json_array_foreach(s.groups, i, g)
		{
			ANSWER_GET(g, badmail_group, &x);
			badmail_sums_add(sums, &x);
		}
		if (!all.totals)
			all.totals = json_incref(s.totals);
		json_decref(a);
	} while (a && !pages.end);
	p.read = pages.read;
	all.groups = badmail_sums_list(sums);
	o = answers_new();
	ANSWER_PUT(o, badmail_stats, &all);
	ANSWER_PUT(o, badmail_page, &p);
	return pages_show(&pages, o, view_stats);
}
