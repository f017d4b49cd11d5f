/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A walk over all public records for each newcomer would cost us more than it costs the sender of a
 * flood. So one walk chooses up to VICTIMS sessions, and each of the next newcomers evicts one of
 * them without a new scan. A session that has logged in meanwhile stays, since the session itself
 * decides by its note.
 */
#include "net/pressure.h"

#include <stddef.h>
#include <string.h>

#include "net/peer.h"
#include "work/slot.h"

#define VICTIMS 32
#define GRACE_MS 5000
/* A walk that found nothing is not repeated for this long. */
#define LOOK_MS 250

struct victim {
	slot_token token;
	uint32_t weight; /* connections of its address */
};

/* The heaviest first. */
static struct {
	struct victim victims[VICTIMS];
	size_t n, used;
	int64_t again_ms;
} found;

static void
victim_add(slot_token token, uint32_t weight)
{
	size_t at = found.n;

	while (at > 0 && found.victims[at - 1].weight < weight)
		at--;
	if (at == VICTIMS)
		return;
	if (found.n < VICTIMS)
		found.n++;
	memmove(&found.victims[at + 1], &found.victims[at],
		(found.n - 1 - at) * sizeof(found.victims[0]));
	found.victims[at] = (struct victim){token, weight};
}

static void
pressure_look(int64_t now_ms)
{
	struct slot_record r;
	slot_token token;
	char where;

	found.n = found.used = 0;
	found.again_ms = now_ms + LOOK_MS;
	for (size_t i = 0; i < slot_count(); i++)
		if (slot_read(i, &r, &token, &where) && where == 'P' && r.peer_key != 0 &&
		    !r.logged_in && !r.holds_credential && now_ms - r.since_ms > GRACE_MS)
			victim_add(token, peer_count(r.peer_key));
}

bool
pressure_relieve(int64_t now_ms)
{
	if (found.used == found.n) {
		if (now_ms < found.again_ms)
			return false;
		pressure_look(now_ms);
	}
	while (found.used < found.n)
		if (slot_wake(found.victims[found.used++].token, NOTE_PRESSURE))
			return true;
	return false;
}

void
pressure_forget(void)
{
	memset(&found, 0, sizeof(found));
}
