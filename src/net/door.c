/* SPDX-License-Identifier: Apache-2.0 */
#include "net/door.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/pressure.h"
#include "work/queue.h"
#include "work/slot.h"
#include "work/stress.h"

/* Newcomers push others out above this part of max_sessions, in percent. */
#define PRESSURE_PERCENT 80

static struct {
	_Atomic uint32_t max_sessions, max_per_address;
	_Atomic int64_t shed_ms;
	_Atomic uint32_t sessions;
	_Atomic bool closed;
	/* counters only: relaxed would do */
	_Atomic uint64_t accepted, refused_total, refused_address, shed, out_of_files, pressured;
} door;

void
door_open(const struct door_limits *limits)
{
	door_set_limits(limits);
	atomic_store(&door.closed, false);
	pressure_forget();
}

void
door_set_limits(const struct door_limits *limits)
{
	atomic_store(&door.max_sessions, limits->max_sessions);
	atomic_store(&door.max_per_address, limits->max_per_address);
	atomic_store(&door.shed_ms, limits->shed_ms);
}

/* ---- in -------------------------------------------------------------------------------------- */

static void
door_report_address(const struct peer *p, uint32_t max)
{
	static struct log_rate rate;
	uint64_t held;

	atomic_fetch_add(&door.refused_address, 1);
	if (log_rate_pass(&rate, &held)) /* anybody can cause it: info */
		log_msg(LOG_LVL_INFO, "refused",
			"%s: it has max_per_address = %u connections (%llu more turned away)",
			p->text, max, (unsigned long long)held);
}

static void
door_report_total(const struct peer *p, uint32_t max)
{
	static struct log_rate rate;
	uint64_t held;

	atomic_fetch_add(&door.refused_total, 1);
	if (log_rate_pass(&rate, &held))
		log_msg(LOG_LVL_WARNING, "refused",
			"%s: all max_sessions = %u are in use (%llu more turned away)", p->text,
			max, (unsigned long long)held);
}

bool
door_enter(const struct peer *p, bool proxied, int64_t now_ms)
{
	uint32_t max = atomic_load(&door.max_sessions);
	uint32_t max_per_address = proxied ? 0 : atomic_load(&door.max_per_address);
	uint32_t sessions = atomic_load(&door.sessions);

	/* first: a newcomer over the cap of its own address pushes nobody out */
	if (!peer_enter(p->key, max_per_address)) {
		door_report_address(p, max_per_address);
		return false;
	}
	if ((uint64_t)sessions * 100 >= (uint64_t)max * PRESSURE_PERCENT &&
	    pressure_relieve(now_ms))
		atomic_fetch_add(&door.pressured, 1);
	if (sessions >= max) {
		peer_leave(p->key);
		door_report_total(p, max);
		return false;
	}
	atomic_fetch_add(&door.sessions, 1);
	return true;
}

bool
door_exchange(const struct peer *from, const struct peer *to)
{
	uint32_t max_per_address = atomic_load(&door.max_per_address);

	if (!peer_enter(to->key, max_per_address)) {
		door_report_address(to, max_per_address);
		return false;
	}
	peer_leave(from->key);
	return true;
}

bool
door_admit(const struct listener *l, int fd, const struct peer *p,
	   struct task *(*make)(const struct listener *l, int fd, const struct peer *p))
{
	struct task *t = make(l, fd, p);

	if (!t) {
		door_turn_away(l, fd);
		door_leave(p->key);
		return false;
	}
	/* the round that tells everybody may have passed before this task was there */
	if (atomic_load(&door.closed))
		(void)slot_wake(slot_get_token(t->slot), NOTE_DRAIN);
	STRESS_POINT();
	if (t->need || !slot_park(t->slot)) { /* only workers ask a gate */
		slot_set_queued(t->slot);
		queue_push(t);
	}
	return true;
}

void
door_close(void)
{
	atomic_store(&door.closed, true);
}

void
door_turn_away(const struct listener *l, int fd)
{
	if (l->busy_text && !l->implicit_tls)
		(void)send(fd, l->busy_text, strlen(l->busy_text), MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd); /* whether the text arrived or not */
}

/* ---- out, and counting ----------------------------------------------------------------------- */

void
door_leave(uint64_t peer_key)
{
	peer_leave(peer_key);
	atomic_fetch_sub(&door.sessions, 1);
}

uint32_t
door_sessions(void)
{
	return atomic_load(&door.sessions);
}

int64_t
door_shed_ms(void)
{
	return atomic_load(&door.shed_ms);
}

void
door_count(enum door_event e)
{
	switch (e) {
	case DOOR_ACCEPTED:
		atomic_fetch_add(&door.accepted, 1);
		break;
	case DOOR_SHED:
		atomic_fetch_add(&door.shed, 1);
		break;
	case DOOR_OUT_OF_FILES:
		atomic_fetch_add(&door.out_of_files, 1);
		break;
	}
}

void
door_get_stats(struct door_stats *ret)
{
	ret->accepted = atomic_load(&door.accepted);
	ret->refused_total = atomic_load(&door.refused_total);
	ret->refused_address = atomic_load(&door.refused_address);
	ret->shed = atomic_load(&door.shed);
	ret->out_of_files = atomic_load(&door.out_of_files);
	ret->pressured = atomic_load(&door.pressured);
}
