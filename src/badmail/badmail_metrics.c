/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of Badmail: the totals as the last change or look of this process left them. The disk is
 * not asked. */
#include "badmail/badmail_metrics.h"

#include "badmail/badmail_id.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_seen.h"
#include "badmail/badmail_store.h"
#include "base/clock.h"
#include "base/expo.h"

static void
by_class(struct expo *e, uint64_t retry, uint64_t refused)
{
	expo_label(e, "class", badmail_id_class(BADMAIL_RETRY));
	expo_count(e, retry);
	expo_label(e, "class", badmail_id_class(BADMAIL_REFUSED));
	expo_count(e, refused);
}

static void
badmail_metrics_contents(struct expo *e, const struct badmail_state *s, const int64_t oldest_ms[2])
{
	expo_family(e, "restante_badmail_items", EXPO_GAUGE,
		    "Items kept: retry, accepted mail that waits for its store; refused, mail kept "
		    "instead of being refused.");
	by_class(e, s->cls[BADMAIL_RETRY].items, s->cls[BADMAIL_REFUSED].items);
	expo_family(e, "restante_badmail_bytes", EXPO_GAUGE,
		    "Their messages and sidecars, as counted against the bound.");
	by_class(e, s->cls[BADMAIL_RETRY].octets, s->cls[BADMAIL_REFUSED].octets);
	expo_family(e, "restante_badmail_oldest_age_seconds", EXPO_GAUGE,
		    "Age of the oldest item; 0 without any.");
	for (int k = 0; k < 2; k++) {
		int64_t ms = s->cls[k].items > 0 && oldest_ms[k] > 0 ? wall_ms() - oldest_ms[k] : 0;

		expo_label(e, "class", badmail_id_class((enum badmail_class)k));
		expo_seconds(e, ms > 0 ? ms * 1000 : 0);
	}
}

static void
badmail_metrics_bounds(struct expo *e, const struct conf_badmail *b, const struct badmail_state *s)
{
	expo_family(e, "restante_badmail_max_items", EXPO_GAUGE,
		    "Bound of all items together (max_items).");
	expo_count(e, (uint64_t)b->max_items);
	expo_family(e, "restante_badmail_max_bytes", EXPO_GAUGE,
		    "Bound of all octets together (max_octets).");
	expo_count(e, (uint64_t)b->max_octets);
	expo_family(e, "restante_badmail_door_closed", EXPO_GAUGE,
		    "1: mail that waits has reached half of a bound, and no more is accepted that "
		    "might have to wait.");
	expo_count(e, badmail_store_retry_full(b, s, BADMAIL_OVERHEAD));
}

static void
badmail_metrics_events(struct expo *e, const struct badmail_state *s)
{
	uint64_t for_size = s->dropped - s->expired - s->crowded;

	expo_family(e, "restante_badmail_dropped_total", EXPO_COUNTER,
		    "Refused items that went for a bound, since the store was made, by the bound.");
	expo_label(e, "reason", "age");
	expo_count(e, s->expired);
	expo_label(e, "reason", "count");
	expo_count(e, s->crowded);
	expo_label(e, "reason", "size");
	expo_count(e, for_size);
	expo_family(e, "restante_badmail_dropped_bytes_total", EXPO_COUNTER, "Their octets.");
	expo_count(e, s->dropped_octets);
}

void
badmail_metrics(struct expo *e, const struct conf *c)
{
	struct badmail_state s;
	int64_t oldest_ms[2];

	if (!c->badmail.path || !badmail_seen_get(&s, oldest_ms))
		return;
	badmail_metrics_contents(e, &s, oldest_ms);
	badmail_metrics_bounds(e, &c->badmail, &s);
	badmail_metrics_events(e, &s);
}
