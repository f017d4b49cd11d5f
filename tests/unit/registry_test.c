/* SPDX-License-Identifier: Apache-2.0 */
/* One session a maildrop, and the rules by which it changes hands. */
#include "mailbox/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <restante/module.h>

#include "work/queue.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEXT(s) s, sizeof(s) - 1
#define CLIENTS 8
#define HOME 42 /* an address */
#define AWAY 43
#define TAKEOVER 60000
#define START 1000000

/* ---- rig ------------------------------------------------------------------------------------- */

static struct client {
	struct task task;
	slot_token token;
	struct registry_entry *claim;
} clients[CLIENTS];
static struct client *const ann = &clients[0], *const ben = &clients[1], *const eve = &clients[2];

static int
setup(void **state)
{
	(void)state;
	queue_init();
	registry_init();
	assert_true(slot_init(CLIENTS));
	memset(clients, 0, sizeof(clients));
	for (size_t i = 0; i < CLIENTS; i++)
		clients[i].token = slot_get_token(slot_take(&clients[i].task));
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	registry_fini(); /* also what is still held */
	slot_fini();
	queue_fini();
	return 0;
}

static enum registry_answer
claim_key(struct client *c, const char *section, const char *key, size_t n)
{
	return registry_claim(section, key, n, c->token, HOME, 0, START, true, &c->claim);
}

static enum registry_answer
claim(struct client *c, uint64_t peer, int64_t now)
{
	return registry_claim("s", "drop", 4, c->token, peer, TAKEOVER, now, true, &c->claim);
}

/* The same when waiting is over. */
static enum registry_answer
claim_last(struct client *c, uint64_t peer, int64_t now)
{
	return registry_claim("s", "drop", 4, c->token, peer, TAKEOVER, now, false, &c->claim);
}

static void
cancel(struct client *c)
{
	registry_cancel("s", "drop", 4, c->token);
}

static unsigned
note(struct client *c)
{
	return slot_take_note(c->task.slot);
}

static bool
is_open(void)
{
	return registry_is_open("s", "drop", 4, NULL);
}

/* ---- holding --------------------------------------------------------------------------------- */

static void
one_session_holds_a_maildrop(void **state)
{
	slot_token holder = 0;

	(void)state;
	assert_false(registry_is_open("s", "drop", 4, &holder));
	assert_int_equal(claim_key(ann, "s", "drop", 4), REGISTRY_MINE);
	assert_non_null(ann->claim);
	assert_int_equal(claim_key(ben, "s", "drop", 4), REGISTRY_HELD);
	assert_null(ben->claim);
	/* not twice by one either */
	assert_int_equal(claim_key(ann, "s", "drop", 4), REGISTRY_HELD);
	assert_true(registry_is_open("s", "drop", 4, &holder));
	assert_true(holder == ann->token);
	registry_release(ann->claim);
	registry_release(NULL);
	assert_false(is_open());
	assert_int_equal(claim_key(ben, "s", "drop", 4), REGISTRY_MINE);
	assert_int_equal(note(ann) | note(ben), 0);
	registry_release(ben->claim);
}

static void
maildrops_are_told_apart(void **state)
{
	static char long_a[PM_KEY_MAX], long_b[PM_KEY_MAX];
	static const struct {
		const char *section, *key;
		size_t n;
	} cases[] = {
		{"s", TEXT("drop")},
		{"t", TEXT("drop")},
		{"s", TEXT("drop2")},
		{"s", TEXT("dro")},
		{"s", TEXT("")},
		{"sd", TEXT("rop")},
		{"s", TEXT("dr\0op")},
		{"s", TEXT("dr\0oq")},
		{"", TEXT("s\0drop")},
		{"s", TEXT("Drop")},
		{"s", long_a, sizeof(long_a)},
		{"s", long_b, sizeof(long_b)},
		{"a234567890123456789012345678901234567890", TEXT("drop")},
		{"a234567890123456789012345678901234567891", TEXT("drop")},
	};
	struct registry_entry *held[COUNT(cases)];

	(void)state;
	memset(long_a, 'k', sizeof(long_a));
	memset(long_b, 'k', sizeof(long_b));
	long_b[sizeof(long_b) - 1] = 'l';
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (claim_key(ann, cases[i].section, cases[i].key, cases[i].n) != REGISTRY_MINE)
			fail_msg("case %zu", i);
		held[i] = ann->claim;
	}
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(claim_key(ben, cases[i].section, cases[i].key, cases[i].n),
				 REGISTRY_HELD);
		registry_release(held[i]);
		assert_false(registry_is_open(cases[i].section, cases[i].key, cases[i].n, NULL));
		for (size_t k = i + 1; k < COUNT(cases); k++)
			assert_true(
				registry_is_open(cases[k].section, cases[k].key, cases[k].n, NULL));
	}
}

/* No module may give such a key; if one does, nothing is overrun. */
static void
keys_beyond_the_limit(void **state)
{
	static char key[5000];
	char section[300];

	(void)state;
	memset(section, 's', sizeof(section) - 1);
	section[sizeof(section) - 1] = '\0';
	assert_int_equal(claim_key(ann, section, key, sizeof(key)), REGISTRY_MINE);
	assert_int_equal(claim_key(ben, section, key, sizeof(key)), REGISTRY_HELD);
	registry_cancel(section, key, sizeof(key), ben->token);
	assert_true(registry_is_open(section, key, sizeof(key), NULL));
	registry_release(ann->claim);
	assert_false(registry_is_open(section, key, sizeof(key), NULL));
}

/* ---- taking over ----------------------------------------------------------------------------- */

static void
clients_that_may_take_over(void **state)
{
	static const struct {
		uint64_t peer;
		int64_t takeover_ms, silence;
		bool pending, may_wait;
		enum registry_answer answer;
	} cases[] = {
		{HOME, TAKEOVER, TAKEOVER, false, true, REGISTRY_WAIT},
		{HOME, TAKEOVER, TAKEOVER + 1, false, true, REGISTRY_WAIT},
		{HOME, TAKEOVER, TAKEOVER - 1, false, true, REGISTRY_HELD},
		{HOME, TAKEOVER, 0, false, true, REGISTRY_HELD},
		/* sent a command after the newcomer looked at the clock */
		{HOME, TAKEOVER, -5, false, true, REGISTRY_HELD},
		{AWAY, TAKEOVER, TAKEOVER, false, true, REGISTRY_HELD},
		{AWAY, TAKEOVER, 100 * TAKEOVER, false, true, REGISTRY_HELD},
		/* her deletions are not undone */
		{HOME, TAKEOVER, 100 * TAKEOVER, true, true, REGISTRY_HELD},
		{HOME, TAKEOVER, TAKEOVER, false, false, REGISTRY_HELD},
		{HOME, 0, 100 * TAKEOVER, false, true, REGISTRY_HELD}, /* switched off */
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		enum registry_answer answer;

		assert_int_equal(claim(ann, HOME, START - 7), REGISTRY_MINE);
		registry_touch(ann->claim, START, cases[i].pending);
		answer = registry_claim("s", "drop", 4, ben->token, cases[i].peer,
					cases[i].takeover_ms, START + cases[i].silence,
					cases[i].may_wait, &ben->claim);
		if (answer != cases[i].answer)
			fail_msg("case %zu: %d", i, (int)answer);
		assert_int_equal(note(ann), answer == REGISTRY_WAIT ? NOTE_TAKEOVER : 0);
		if (answer == REGISTRY_WAIT)
			cancel(ben);
		registry_release(ann->claim);
		assert_int_equal(note(ben), 0);
	}
}

static void
a_silent_holder_leaves(void **state)
{
	struct queue_worker *w = queue_worker_new();
	slot_token holder = 0;

	(void)state;
	assert_int_equal(claim(ann, HOME, START), REGISTRY_MINE);
	/* nobody asks */
	assert_false(registry_should_yield(ann->claim, TAKEOVER, START + 2 * TAKEOVER));
	assert_int_equal(claim(ben, HOME, START + TAKEOVER), REGISTRY_WAIT);
	assert_null(ben->claim);
	assert_true(slot_park(ben->task.slot));
	assert_int_equal(note(ann), NOTE_TAKEOVER);
	assert_true(registry_is_open("s", "drop", 4, &holder));
	assert_true(holder == ann->token);
	assert_true(registry_should_yield(ann->claim, TAKEOVER, START + TAKEOVER));
	registry_release(ann->claim);
	assert_ptr_equal(queue_pop(w), &ben->task); /* was woken */
	slot_set_running(ben->task.slot);
	assert_int_equal(note(ben), NOTE_WAKE);
	assert_false(is_open());
	/* kept for the one that waited */
	assert_int_equal(claim(eve, HOME, START + TAKEOVER), REGISTRY_HELD);
	assert_int_equal(claim(eve, AWAY, START + TAKEOVER), REGISTRY_HELD);
	assert_int_equal(claim_last(ben, HOME, START + TAKEOVER + 10), REGISTRY_MINE);
	assert_true(registry_is_open("s", "drop", 4, &holder));
	assert_true(holder == ben->token);
	assert_int_equal(claim(ann, HOME, START + 2 * TAKEOVER), REGISTRY_HELD); /* ten short */
	assert_int_equal(claim(ann, HOME, START + 2 * TAKEOVER + 10), REGISTRY_WAIT);
	registry_release(ben->claim);
	assert_int_equal(note(ann), NOTE_WAKE);
	cancel(ann);
	assert_int_equal(claim(eve, AWAY, START), REGISTRY_MINE);
	queue_worker_free(w);
}

/* The holder has the last word: it may have sent a command since it was asked. */
static void
a_holder_that_speaks_stays(void **state)
{
	int64_t now = START + TAKEOVER;

	(void)state;
	assert_int_equal(claim(ann, HOME, START), REGISTRY_MINE);
	assert_int_equal(claim(ben, HOME, now), REGISTRY_WAIT);
	registry_touch(ann->claim, now, false);
	assert_false(registry_should_yield(ann->claim, TAKEOVER, now));
	assert_false(registry_should_yield(ann->claim, TAKEOVER, now + TAKEOVER - 1));
	assert_true(registry_should_yield(ann->claim, TAKEOVER, now + TAKEOVER));
	registry_touch(ann->claim, now, true); /* DELE */
	assert_false(registry_should_yield(ann->claim, TAKEOVER, now + TAKEOVER));
	registry_touch(ann->claim, now, false); /* RSET */
	assert_true(registry_should_yield(ann->claim, TAKEOVER, now + TAKEOVER));
	assert_int_equal(claim_last(ben, HOME, now + 5000), REGISTRY_HELD);
	cancel(ben);
	assert_false(registry_should_yield(ann->claim, TAKEOVER, now + TAKEOVER));
	assert_true(is_open());
	registry_release(ann->claim);
	assert_int_equal(note(ben), 0);
	assert_int_equal(claim(eve, AWAY, now), REGISTRY_MINE);
}

static void
one_may_wait(void **state)
{
	int64_t now = START + TAKEOVER;

	(void)state;
	assert_int_equal(claim(ann, HOME, START), REGISTRY_MINE);
	assert_int_equal(claim(ben, HOME, now), REGISTRY_WAIT);
	assert_int_equal(note(ann), NOTE_TAKEOVER);
	assert_int_equal(claim(ben, HOME, now), REGISTRY_WAIT); /* asks again: the same wait */
	assert_int_equal(note(ann), NOTE_TAKEOVER);
	assert_int_equal(claim(eve, HOME, now), REGISTRY_HELD);
	assert_int_equal(note(ann), 0);
	cancel(eve); /* waits for nothing: somebody else's place is not hers */
	registry_cancel("s", "other", 5, ben->token);
	registry_cancel("t", "drop", 4, ben->token);
	assert_true(registry_should_yield(ann->claim, TAKEOVER, now));
	cancel(ben);
	cancel(ben);
	assert_int_equal(claim(eve, HOME, now), REGISTRY_WAIT);
	registry_release(ann->claim);
	assert_int_equal(note(eve), NOTE_WAKE);
	assert_int_equal(note(ben), 0);
	assert_int_equal(claim(ben, HOME, now), REGISTRY_HELD);
	assert_int_equal(claim(eve, HOME, now), REGISTRY_MINE);
}

/* A waiter that gives up after the holder has left leaves nothing behind. */
static void
a_waiter_gives_up(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(claim(ann, HOME, START), REGISTRY_MINE);
		assert_int_equal(claim(ben, HOME, START + TAKEOVER), REGISTRY_WAIT);
		registry_release(ann->claim);
		cancel(ann); /* not hers any more */
		assert_int_equal(claim(eve, HOME, START + TAKEOVER), REGISTRY_HELD);
		cancel(ben);
		assert_false(is_open());
		assert_int_equal(claim(eve, AWAY, START + TAKEOVER), REGISTRY_MINE);
		registry_release(eve->claim);
		assert_int_equal(note(ben), NOTE_WAKE);
	}
}

/* Its slot belongs to another session now, which is told nothing. */
static void
a_waiter_that_ended_is_not_woken(void **state)
{
	struct slot *s = ben->task.slot;
	struct task next = {0};

	(void)state;
	assert_int_equal(claim(ann, HOME, START), REGISTRY_MINE);
	assert_int_equal(claim(ben, HOME, START + TAKEOVER), REGISTRY_WAIT);
	cancel(ben);
	slot_retire(s);
	slot_release(s);
	assert_ptr_equal(slot_take(&next), s);
	registry_release(ann->claim);
	assert_int_equal(slot_peek_note(s), 0);
	assert_int_equal(claim(ben, HOME, START), REGISTRY_MINE);
}

/* The address that counts is that of the present holder; nothing of an earlier one stays. */
static void
each_holder_begins_anew(void **state)
{
	(void)state;
	assert_int_equal(claim(ann, HOME, START), REGISTRY_MINE);
	registry_touch(ann->claim, START, true);
	registry_release(ann->claim);
	assert_int_equal(claim(ben, AWAY, START + 5), REGISTRY_MINE);
	assert_int_equal(claim(ann, HOME, START + 5 + TAKEOVER), REGISTRY_HELD);
	assert_int_equal(claim(ann, AWAY, START + 4 + TAKEOVER), REGISTRY_HELD);
	assert_int_equal(claim(ann, AWAY, START + 5 + TAKEOVER), REGISTRY_WAIT);
	assert_true(registry_should_yield(ben->claim, TAKEOVER, START + 5 + TAKEOVER));
	/* also when the entry is handed over with a waiter */
	registry_release(ben->claim);
	assert_int_equal(claim(ann, AWAY, START + 9 + TAKEOVER), REGISTRY_MINE);
	assert_false(registry_should_yield(ann->claim, TAKEOVER, START + 9 + 3 * TAKEOVER));
	assert_int_equal(claim(ben, AWAY, START + 8 + 2 * TAKEOVER), REGISTRY_HELD);
}

/* ---- the background -------------------------------------------------------------------------- */

static enum registry_answer
claim_background(struct client *c)
{
	return registry_claim_background("s", "drop", 4, c->token, &c->claim);
}

/* Whatever the address and however long it has been at work. */
static void
the_background_gives_way(void **state)
{
	(void)state;
	assert_false(registry_is_wanted(NULL));
	assert_int_equal(claim_background(ann), REGISTRY_MINE);
	assert_false(is_open()); /* in no session */
	assert_false(registry_is_wanted(ann->claim));
	assert_int_equal(claim(ben, AWAY, START), REGISTRY_SOON);
	assert_int_equal(claim(ben, AWAY, START), REGISTRY_SOON);
	assert_true(registry_is_wanted(ann->claim));
	assert_int_equal(claim(eve, AWAY, START), REGISTRY_HELD); /* ben comes first */
	assert_int_equal(claim_background(eve), REGISTRY_HELD);
	registry_release(ann->claim);
	assert_int_equal(note(ben), NOTE_WAKE);
	assert_int_equal(claim_background(ann), REGISTRY_HELD); /* kept for ben */
	assert_int_equal(claim(ben, AWAY, START), REGISTRY_MINE);
	assert_true(is_open());
	assert_false(registry_is_wanted(ben->claim));
	assert_int_equal(claim_background(ann), REGISTRY_HELD);
	assert_int_equal(note(ben), 0); /* a session is not asked to leave */
	registry_release(ben->claim);
	assert_int_equal(claim_background(ann), REGISTRY_MINE);
	assert_false(registry_is_wanted(ann->claim));
	registry_release(ann->claim);
}

static void
a_session_gives_up_waiting_for_the_background(void **state)
{
	(void)state;
	assert_int_equal(claim_background(ann), REGISTRY_MINE);
	assert_int_equal(claim(ben, HOME, START), REGISTRY_SOON);
	assert_int_equal(claim_last(ben, HOME, START + 2000), REGISTRY_HELD);
	cancel(ben);
	assert_false(registry_is_wanted(ann->claim));
	assert_int_equal(claim_last(eve, HOME, START), REGISTRY_HELD);
	assert_int_equal(claim(eve, HOME, START), REGISTRY_SOON);
	registry_release(ann->claim);
	cancel(eve);
	assert_int_equal(claim_background(ben), REGISTRY_MINE);
	registry_release(ben->claim);
	assert_int_equal(note(ben), 0);
}

/* ---- threads --------------------------------------------------------------------------------- */

static _Atomic int holders[3], two_at_once, held;

static void *
many_claims(void *arg)
{
	struct client *c = arg;

	for (unsigned i = 0; i < 4000; i++) {
		size_t k = (i + (unsigned)c->token) % 3;
		char key = (char)('a' + k);
		enum registry_answer answer;

		answer = i % 5 == 0 ? registry_claim_background("s", &key, 1, c->token, &c->claim)
				    : registry_claim("s", &key, 1, c->token, HOME, 1,
						     (int64_t)i + 1000000, true, &c->claim);
		if ((answer == REGISTRY_WAIT || answer == REGISTRY_SOON) && i % 2)
			answer = registry_claim("s", &key, 1, c->token, HOME, 1, i, false,
						&c->claim);
		if (answer != REGISTRY_MINE) {
			registry_cancel("s", &key, 1, c->token);
			continue;
		}
		if (atomic_fetch_add(&holders[k], 1) != 0)
			atomic_store(&two_at_once, 1);
		atomic_fetch_add(&held, 1);
		registry_touch(c->claim, 0, i % 3 == 0);
		(void)registry_should_yield(c->claim, 1, 5);
		(void)registry_is_wanted(c->claim);
		atomic_fetch_sub(&holders[k], 1);
		registry_release(c->claim);
	}
	return NULL;
}

static void
threads(void **state)
{
	pthread_t thread[CLIENTS];

	(void)state;
	for (size_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, many_claims, &clients[i]), 0);
	for (size_t i = 0; i < CLIENTS; i++)
		assert_int_equal(pthread_join(thread[i], NULL), 0);
	assert_int_equal(two_at_once, 0);
	assert_true(held > 0);
	for (char key = 'a'; key <= 'c'; key++) /* nothing was left behind */
		assert_int_equal(claim_key(ann, "s", &key, 1), REGISTRY_MINE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_session_holds_a_maildrop, setup, teardown),
		cmocka_unit_test_setup_teardown(maildrops_are_told_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(keys_beyond_the_limit, setup, teardown),
		cmocka_unit_test_setup_teardown(clients_that_may_take_over, setup, teardown),
		cmocka_unit_test_setup_teardown(a_silent_holder_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(a_holder_that_speaks_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(one_may_wait, setup, teardown),
		cmocka_unit_test_setup_teardown(a_waiter_gives_up, setup, teardown),
		cmocka_unit_test_setup_teardown(a_waiter_that_ended_is_not_woken, setup, teardown),
		cmocka_unit_test_setup_teardown(each_holder_begins_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(the_background_gives_way, setup, teardown),
		cmocka_unit_test_setup_teardown(a_session_gives_up_waiting_for_the_background,
						setup, teardown),
		cmocka_unit_test_setup_teardown(threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
