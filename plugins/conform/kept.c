/* SPDX-License-Identifier: Apache-2.0 */
#include "kept.h"

#include <stdio.h>

/* Deliveries of kit_deliver_many end their subject in a dot. */
bool
kept_there(struct box *b, const char *tag, unsigned k)
{
	char subject[80];

	snprintf(subject, sizeof(subject), "Subject: %s %u.\r", tag, k);
	if (box_find(b, subject) >= 0)
		return true;
	snprintf(subject, sizeof(subject), "Subject: %s %u.\n", tag, k);
	return box_find(b, subject) >= 0;
}

void
kept_expect(struct inst *in, const char *tag, unsigned n, kept_fn *kept)
{
	struct box b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	unsigned expected = 0;

	for (unsigned k = 0; k < n; k++) {
		EXPECT(kept_there(&b, tag, k) == kept(k), "message %u %s", k,
		       kept(k) ? "is gone and was not deleted" : "is there again and was deleted");
		expected += kept(k);
	}
	EXPECT(b.n == expected, "%llu messages are left, expected %u", (unsigned long long)b.n,
	       expected);
	box_close(&b);
}

bool
kept_all(unsigned k)
{
	(void)k;
	return true;
}

bool
kept_none(unsigned k)
{
	(void)k;
	return false;
}

bool
kept_two_thirds(unsigned k)
{
	return k % 3 != 1;
}

bool
kept_even(unsigned k)
{
	return k % 2 == 0;
}

/* Ready with n messages, the mailbox open. */
struct box
kept_begin(struct inst *in, const char *tag, unsigned n)
{
	struct box b;

	kit_empty(in, 0);
	kit_deliver_many(in, 0, tag, n);
	b = box_open(in, 0, PM_OPEN_EXCLUSIVE);
	EXPECT(b.n == n, "%u messages were delivered, %llu are there", n, (unsigned long long)b.n);
	return b;
}

/* The messages of the snapshot but for the `kept` ones. Their order is the store's, so they are
 * looked up. */
void
kept_choose(struct box *b, const char *tag, unsigned n, kept_fn *kept, uint8_t *del)
{
	for (unsigned k = 0; k < n; k++) {
		char part[80];
		int64_t i;

		snprintf(part, sizeof(part), "Subject: %s %u.", tag, k);
		if (kept(k))
			continue;
		i = box_find(b, part);
		EXPECT(i >= 0, "message %u is not in the snapshot", k);
		map_set(del, (uint64_t)i);
	}
}
