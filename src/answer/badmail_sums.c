/* SPDX-License-Identifier: Apache-2.0 */
#include "answer/badmail_sums.h"

void
badmail_sums_add(json_t *sums, const struct answer_badmail_group *g)
{
	json_t *key = json_sprintf("%s\n%s\n%s\n%s", g->class, g->reason, g->code,
				   g->sender_domain),
	       *o = json_object_get(sums, json_string_value(key));
	struct answer_badmail_group sum = *g, x;

	if (!key)
		return; /* no memory */
	if (o) {
		ANSWER_GET(o, badmail_group, &x);
		sum.items += x.items;
		sum.octets += x.octets;
		sum.first_ms = x.first_ms < sum.first_ms ? x.first_ms : sum.first_ms;
		sum.last_ms = x.last_ms > sum.last_ms ? x.last_ms : sum.last_ms;
	} else {
		o = json_object();
		json_object_set_new(sums, json_string_value(key), o);
	}
	ANSWER_PUT(o, badmail_group, &sum);
	json_decref(key);
}

json_t *
badmail_sums_list(json_t *sums)
{
	json_t *list = json_array(), *g;
	const char *key;

	json_object_foreach(sums, key, g)
	{
		json_array_append(list, g);
	}
	json_decref(sums);
	return list;
}
