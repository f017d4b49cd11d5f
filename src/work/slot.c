/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of tasks. Each slot has two words that others may touch:
 *
 *   where   generation << 8 | state     the owner of the task
 *   note    generation << 8 | bits      events, for the task's next turn to look at
 *
 * Both are sequentially consistent, for one pair of accesses: somebody sets a note and then looks
 * at `where`; the owner stores RUNNING and then looks at the note. One of the two must see the
 * other, or a kick that meets a QUEUED task would be lost; weaker orders allow both to miss.
 *
 * The generation is part of both words, so that a token of a session that ended does nothing to the
 * next one in the same slot, and one compare-and-swap settles state and generation together. It has
 * 32 bits: a token goes wrong only if it is kept while its slot is used 4,294,967,295 times.
 *
 * Every move checks the state it starts from. A wrong state means two owners; nothing sensible can
 * follow, so that is an assertion.
 *
 * The public record is written word by word under a sequence number. Fences would be the textbook
 * way; release stores and acquire loads of the words do the same (free on x86), and ThreadSanitizer
 * understands them: a reader that sees a word of a newer record also sees the odd number before it.
 */
#include "work/slot.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "work/queue.h"
#include "work/stress.h"

enum state { FREE, PARKED, QUEUED, RUNNING, HIT, GATED };

#define STATE_MASK 0xffu
#define BIT(state) (1u << (state))
#define RECORD_WORDS (sizeof(struct slot_record) / sizeof(uint64_t))
#define READ_TRIES 64

_Static_assert(sizeof(struct slot_record) % sizeof(uint64_t) == 0, "copied in whole words");

struct slot {
	_Alignas(64) _Atomic uint64_t where;
	_Atomic uint64_t note;
	struct task *task; /* the owner's; a claimer's once its compare-and-swap succeeded */
	struct slot *next; /* under table.mutex, while FREE */
	uint32_t number;
	_Atomic uint32_t sequence; /* odd: the record is being written */
	_Atomic uint64_t record[RECORD_WORDS];
};

static struct {
	struct slot *slots;
	_Atomic int64_t *deadlines; /* dense: the scan reads 8 bytes a slot, not 256 */
	size_t n;
	pthread_mutex_t mutex;
	/* below: under mutex */
	struct slot *free;
} table = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static uint64_t
where_make(uint32_t generation, enum state st)
{
	return (uint64_t)generation << 8 | st;
}

static uint32_t
where_generation(uint64_t w)
{
	return (uint32_t)(w >> 8);
}

static enum state
where_state(uint64_t w)
{
	return (enum state)(w & STATE_MASK);
}

/* By the owner: to another state. The state it starts from is one of `from`. */
static void
slot_move(struct slot *s, unsigned from, enum state to)
{
	uint64_t w = atomic_load(&s->where);

	STRESS_POINT();
	w = atomic_exchange(&s->where, where_make(where_generation(w), to));
	assert(BIT(where_state(w)) & from);
	(void)w;
	(void)from;
}

/* ---- the table ------------------------------------------------------------------------------- */

bool
slot_init(size_t n)
{
	struct slot *slots = aligned_alloc(_Alignof(struct slot), n * sizeof(*slots));
	_Atomic int64_t *deadlines = malloc(n * sizeof(*deadlines));

	if (!slots || !deadlines) {
		free(slots);
		free((void *)deadlines);
		return false;
	}
	memset((void *)slots, 0, n * sizeof(*slots));
	table.free = NULL;
	for (size_t i = n; i-- > 0;) { /* low numbers first: slots in use stay together */
		slots[i].number = (uint32_t)i;
		atomic_init(&slots[i].where, where_make(1, FREE));
		atomic_init(&slots[i].note, where_make(1, 0));
		atomic_init(&deadlines[i], INT64_MAX);
		slots[i].next = table.free;
		table.free = &slots[i];
	}
	table.slots = slots;
	table.deadlines = deadlines;
	table.n = n;
	return true;
}

void
slot_fini(void)
{
	free((void *)table.slots);
	free((void *)table.deadlines);
	table.slots = NULL;
	table.deadlines = NULL;
	table.free = NULL;
	table.n = 0;
}

size_t
slot_count(void)
{
	return table.n;
}

struct slot *
slot_take(struct task *t)
{
	struct slot *s;
	uint32_t generation;

	pthread_mutex_lock(&table.mutex);
	s = table.free;
	if (s)
		table.free = s->next;
	pthread_mutex_unlock(&table.mutex);
	if (!s)
		return NULL;
	generation = where_generation(atomic_load(&s->where));
	s->task = t;
	t->slot = s;
	slot_publish(s, &(struct slot_record){0});
	slot_set_deadline(s, INT64_MAX);
	atomic_store(&s->note, where_make(generation, 0));
	slot_move(s, BIT(FREE), RUNNING);
	return s;
}

void
slot_retire(struct slot *s)
{
	uint32_t generation = where_generation(atomic_load(&s->where)) + 1;
	uint64_t old;

	if (generation == 0)
		generation = 1; /* 0 is never a token */
	STRESS_POINT();
	old = atomic_exchange(&s->where, where_make(generation, FREE));
	assert(BIT(where_state(old)) & (BIT(RUNNING) | BIT(HIT)));
	(void)old;
	atomic_store(&s->note, where_make(generation, 0));
	slot_set_deadline(s, INT64_MAX);
}

void
slot_release(struct slot *s)
{
	STRESS_POINT();
	s->task = NULL;
	pthread_mutex_lock(&table.mutex);
	s->next = table.free;
	table.free = s;
	pthread_mutex_unlock(&table.mutex);
}

slot_token
slot_get_token(const struct slot *s)
{
	return (slot_token)where_generation(atomic_load(&s->where)) << 32 | s->number;
}

struct task *
slot_task(const struct slot *s)
{
	return s->task;
}

/* NULL: no such slot, or the generation is another. *ret_where: the word that decided it. */
static struct slot *
slot_find(slot_token t, uint64_t *ret_where)
{
	uint32_t number = (uint32_t)t;
	uint64_t w;

	if (number >= table.n)
		return NULL;
	w = atomic_load(&table.slots[number].where);
	if (where_generation(w) != (uint32_t)(t >> 32))
		return NULL;
	*ret_where = w;
	return &table.slots[number];
}

/* ---- notes and claims ------------------------------------------------------------------------ */

/* False: the generation is another. */
static bool
note_add(slot_token t, unsigned note)
{
	uint32_t number = (uint32_t)t;
	uint64_t old;

	if (number >= table.n)
		return false;
	old = atomic_load(&table.slots[number].note);
	do {
		if ((uint32_t)(old >> 8) != (uint32_t)(t >> 32))
			return false;
	} while ((old | note) != old &&
		 !atomic_compare_exchange_weak(&table.slots[number].note, &old, old | note));
	return true;
}

void
slot_add_note(slot_token t, unsigned note)
{
	(void)note_add(t, note); /* gone: nobody is left to be told */
}

unsigned
slot_take_note(struct slot *s)
{
	uint64_t keep = ~(uint64_t)STATE_MASK | NOTE_HUP;

	/* most turns find nothing: a load is cheaper than a locked instruction */
	if ((atomic_load(&s->note) & ~keep) == 0)
		return slot_peek_note(s);
	return (unsigned)(atomic_fetch_and(&s->note, keep) & STATE_MASK);
}

unsigned
slot_peek_note(const struct slot *s)
{
	return (unsigned)(atomic_load(&s->note) & STATE_MASK);
}

bool
slot_claim(slot_token t, struct task **ret_task)
{
	uint64_t w;
	struct slot *s = slot_find(t, &w);

	while (s && where_generation(w) == (uint32_t)(t >> 32)) {
		STRESS_POINT();
		switch (where_state(w)) {
		case PARKED:
			if (!atomic_compare_exchange_weak(&s->where, &w,
							  where_make(where_generation(w), QUEUED)))
				continue;
			*ret_task = s->task;
			return true;
		case RUNNING:
			if (!atomic_compare_exchange_weak(&s->where, &w,
							  where_make(where_generation(w), HIT)))
				continue;
			return false;
		default: /* HIT QUEUED GATED: a turn is to come; FREE: nobody to tell */
			return false;
		}
	}
	return false;
}

bool
slot_wake(slot_token t, unsigned note)
{
	struct task *task;
	bool there = note_add(t, note);

	STRESS_POINT();
	if (there && slot_claim(t, &task))
		queue_push(task);
	return there;
}

/* ---- moves of the owner ---------------------------------------------------------------------- */

bool
slot_park(struct slot *s)
{
	uint64_t w = atomic_load(&s->where);
	uint32_t generation = where_generation(w);

	STRESS_POINT();
	w = where_make(generation, RUNNING);
	if (atomic_compare_exchange_strong(&s->where, &w, where_make(generation, PARKED)))
		return true;
	slot_move(s, BIT(HIT), RUNNING);
	return false;
}

void
slot_set_queued(struct slot *s)
{
	slot_move(s, BIT(RUNNING) | BIT(HIT) | BIT(GATED), QUEUED);
}

void
slot_set_running(struct slot *s)
{
	slot_move(s, BIT(QUEUED), RUNNING);
}

void
slot_set_gated(struct slot *s)
{
	slot_move(s, BIT(RUNNING) | BIT(HIT), GATED);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

/* Relaxed: a deadline read too early or too late costs an idle turn or a quarter of a second. */
void
slot_set_deadline(struct slot *s, int64_t at_ms)
{
	atomic_store_explicit(&table.deadlines[s->number], at_ms, memory_order_relaxed);
}

void
slot_scan_deadlines(int64_t now_ms, void (*push)(struct task *t, void *ctx), void *ctx)
{
	for (size_t i = 0; i < table.n; i++) {
		struct slot *s = &table.slots[i];
		uint64_t w;

		if (atomic_load_explicit(&table.deadlines[i], memory_order_relaxed) > now_ms)
			continue;
		/* a task that is RUNNING sets another, or is found at the next scan: no HIT from
		 * here */
		w = atomic_load(&s->where);
		if (where_state(w) != PARKED)
			continue;
		STRESS_POINT();
		if (atomic_compare_exchange_strong(&s->where, &w,
						   where_make(where_generation(w), QUEUED)))
			push(s->task, ctx);
	}
}

/* ---- the public record ----------------------------------------------------------------------- */

void
slot_publish(struct slot *s, const struct slot_record *r)
{
	uint32_t seq = atomic_load_explicit(&s->sequence, memory_order_relaxed); /* one writer */
	uint64_t words[RECORD_WORDS];

	memcpy(words, r, sizeof(words));
	atomic_store_explicit(&s->sequence, seq + 1, memory_order_relaxed);
	for (size_t i = 0; i < RECORD_WORDS; i++)
		atomic_store_explicit(&s->record[i], words[i], memory_order_release);
	atomic_store_explicit(&s->sequence, seq + 2, memory_order_release);
}

/* False: it was being written each time. */
static bool
record_copy(struct slot *s, struct slot_record *ret)
{
	uint64_t words[RECORD_WORDS];

	for (unsigned try = 0; try < READ_TRIES; try++) {
		uint32_t seq = atomic_load_explicit(&s->sequence, memory_order_acquire);

		for (size_t i = 0; i < RECORD_WORDS; i++)
			words[i] = atomic_load_explicit(&s->record[i], memory_order_acquire);
		if ((seq & 1) == 0 &&
		    atomic_load_explicit(&s->sequence, memory_order_relaxed) == seq) {
			memcpy(ret, words, sizeof(*ret));
			return true;
		}
		sched_yield(); /* the writer may have lost its processor */
	}
	return false;
}

bool
slot_read(size_t i, struct slot_record *ret, slot_token *ret_token, char *ret_where)
{
	static const char letters[] = {
		[FREE] = 'F',    [PARKED] = 'P', [QUEUED] = 'Q',
		[RUNNING] = 'R', [HIT] = 'R',    [GATED] = 'G',
	};
	struct slot_record r = {0};
	struct slot *s;
	uint64_t w;

	if (i >= table.n)
		return false;
	s = &table.slots[i];
	w = atomic_load(&s->where);
	if (where_state(w) == FREE)
		return false;
	if (!record_copy(s, &r))
		memset(&r, 0, sizeof(r)); /* the task exists all the same */
	if (where_generation(atomic_load(&s->where)) != where_generation(w))
		return false;
	*ret = r;
	*ret_token = (slot_token)where_generation(w) << 32 | i;
	*ret_where = letters[where_state(w)];
	return true;
}
