/* SPDX-License-Identifier: Apache-2.0 */
/* Retention, quotas, pages on disk, volumes; those that are shared, by many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "badmail/badmail.h"
#include "badmail/badmail_place.h"
#include "badmail/badmail_store.h"
#include "base/clock.h"
#include "host/call.h"
#include "mailbox/quota_domain.h"
#include "mailbox/quota_impl.h"
#include "mailbox/retention.h"
#include "mailbox/volume.h"
#include "upkeep/undo.h"

#define DAY INT64_C(86400000)
#define THREADS 6
#define ROUNDS 100

static char dir[64];
static struct conf *c;
static struct backend store;

/* ---- rig ------------------------------------------------------------------------------------- */

static int
begin(void **state)
{
	struct conf_errors e = {0};
	char path[100];
	FILE *f;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/rst-keep.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f,
		"config_version = 1\nstate_dir = %s\nexpire = client\nundo = 1\nquota_messages = "
		"100\n"
		"domain zero.example {\n expire = 0\n undo = 0\n}\n"
		"domain month.example {\n expire = 30\n quota_octets = 1000\n}\n"
		"domain club.example {\n domain_messages = 40\n domain_octets = 1000000\n}\n"
		"badmail {\n path = %s/bad\n max_items = 100\n}\n"
		"volume v {\n path = %s\n reserve_percent = 0\n reserve_file = 0\n}\n",
		dir, dir, dir);
	assert_int_equal(fclose(f), 0);
	c = conf_load(path, &e); /* the settings that only a server needs may be missing here */
	assert_non_null(c);
	c->volumes[0].vol = volume_get(&c->volumes[0]); /* as binding does */
	assert_non_null(c->volumes[0].vol);
	return 0;
}

static int
end(void **state)
{
	char command[100];

	(void)state;
	conf_put(c);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static struct pm_user
user(const char *name)
{
	struct pm_user u;

	host_user_init(&u);
	u.name = (struct pm_str){name, strlen(name)};
	return u;
}

/* ---- retention ------------------------------------------------------------------------------- */

static void
the_user_goes_before_the_domain(void **state)
{
	struct pm_user u = user("x@zero.example");
	struct retention r;

	(void)state;
	retention_of(c, &u, &r);
	assert_int_equal(r.expire_days, 0);
	assert_int_equal(r.undo_days, 0);
	u.expire_days = 7; /* the directory's value overrides the domain's */
	u.undo_days = 3;
	retention_of(c, &u, &r);
	assert_int_equal(r.expire_days, 7);
	assert_int_equal(r.undo_days, 3);
	u = user("x@elsewhere.example");
	retention_of(c, &u, &r);
	assert_int_equal(r.expire_days, PM_EXPIRE_CLIENT);
	assert_int_equal(r.undo_days, 1);
	u.expire_days = -99; /* nonsense deletes nothing */
	retention_of(c, &u, &r);
	assert_int_equal(r.expire_days, PM_EXPIRE_CLIENT);
	u = user("x@MONTH.example");
	retention_of(c, &u, &r);
	assert_int_equal(r.expire_days, 30);
	assert_int_equal(r.undo_days, 1);
}

static void
when_it_is_over(void **state)
{
	struct retention month = {30, 0}, zero = {0, 0}, client = {PM_EXPIRE_CLIENT, 0};
	const int64_t now = 1000 * DAY;

	(void)state;
	assert_true(retention_due(&month, now - 30 * DAY, 1, now));
	assert_false(retention_due(&month, now - 30 * DAY + 1, 1, now));
	assert_false(retention_due(&month, 0, 1, now)); /* never retrieved */
	assert_false(retention_due(&zero, 1, 1, now));  /* only by the QUIT of its retrieval */
	assert_false(retention_due(&client, 1, 1, now));
	/* retrieved in 1970, it says, and it came yesterday */
	assert_false(retention_due(&month, 1, now - DAY, now));
	assert_true(retention_due(&month, 1, now - 30 * DAY, now));
	assert_false(retention_due(&month, now + DAY, 1, now));
	assert_false(retention_due(&month, 1, 1, 0)); /* the clock is in doubt */
	assert_int_equal(retention_keep_until(&(struct retention){0, 7}, true, now), now + 7 * DAY);
	assert_int_equal(retention_keep_until(&(struct retention){0, 7}, false, now), 0);
	assert_int_equal(retention_keep_until(&zero, true, now), 0);
}

static void
a_user_who_may_not_delete_expires_nothing(void **state)
{
	struct pm_user u = user("x@zero.example");
	struct retention r;
	char text[32];

	(void)state;
	u.rights &= ~PM_RIGHT_DELETE;
	retention_of(c, &u, &r);
	assert_false(retention_on_retrieval(&r, &u));
	assert_true(retention_capa(c, &u, text, sizeof(text)));
	assert_string_equal(text, "NEVER");
	u.rights |= PM_RIGHT_DELETE;
	assert_true(retention_on_retrieval(&r, &u));
	assert_true(retention_capa(c, &u, text, sizeof(text)));
	assert_string_equal(text, "0");
	assert_true(retention_capa(c, NULL, text, sizeof(text)));
	assert_string_equal(text, "0 USER");
}

static void
limits_that_a_store_cannot_keep_are_taken_back(void **state)
{
	struct retention r = {30, 7};

	(void)state;
	assert_true(retention_fit(&r, true, true));
	assert_false(retention_fit(&r, true, false));
	assert_int_equal(r.undo_days, 0);
	assert_false(retention_fit(&r, false, false));
	assert_int_equal(r.expire_days, PM_EXPIRE_CLIENT);
	r = (struct retention){0, 0};
	assert_true(retention_fit(&r, false, false)); /* expire = 0 needs no marks */
	assert_int_equal(r.expire_days, 0);
}

/* ---- quotas ---------------------------------------------------------------------------------- */

static void
limits_of(const char *name, struct quota_limits *l)
{
	struct pm_user u = user(name);

	quota_fill(c, &u);
	quota_limits(&store, &u, l);
}

static void
limits_come_from_user_domain_site(void **state)
{
	struct pm_user u = user("x@month.example");
	struct quota_limits l;

	(void)state;
	u.quota_msgs = 3;
	quota_fill(c, &u);
	quota_limits(&store, &u, &l);
	assert_int_equal(l.msgs, 3);
	assert_int_equal(l.octets, 1000);
	assert_false(l.domain_counted);
	limits_of("x@elsewhere.example", &l);
	assert_int_equal(l.msgs, 100);
	assert_int_equal(l.octets, 0);
	limits_of("x@Club.Example", &l);
	assert_string_equal(l.domain, "club.example");
	assert_true(l.domain_counted);
	store.counts = true;
	limits_of("x@club.example", &l);
	assert_false(l.domain_counted || quota_wants_stat(&l));
	store.counts = false;
	limits_of("x@../../etc", &l);
	assert_false(l.domain_counted); /* no name of a file */
}

static void
full_is_full(void **state)
{
	static const struct {
		uint64_t octets, msgs, used, count, more;
		int32_t rc;
	} cases[] = {
		{0, 0, UINT64_MAX / 2, 1000000, 5, PM_OK},
		{1000, 0, 0, 0, 1000, PM_OK},
		{1000, 0, 0, 0, 1001, PM_QUOTA},
		{1000, 0, 999, 3, 1, PM_OK},
		{1000, 0, 999, 3, 2, PM_QUOTA},
		{1000, 0, 999, 3, 0, PM_OK}, /* of unknown size: there is room for something */
		{1000, 0, 1000, 3, 0, PM_QUOTA},
		{1000, 0, 5000, 3, 1, PM_QUOTA},
		{1000, 0, 10, 1, UINT64_MAX, PM_QUOTA},
		{0, 5, 10, 4, 1, PM_OK},
		{0, 5, 10, 5, 1, PM_QUOTA},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct quota_limits l = {.octets = cases[i].octets, .msgs = cases[i].msgs};
		struct pm_stat now = {.octets = cases[i].used, .count = cases[i].count};
		char text[QUOTA_TEXT_MAX];

		if (quota_check(&l, &now, cases[i].more, text) != cases[i].rc)
			fail_msg("case %zu", i);
	}
}

static void
a_warning_comes_once(void **state)
{
	struct quota_limits l = {.octets = 1000};
	struct pm_user u = user("warned@x.example");
	struct pm_stat low = {.octets = 700}, high = {.octets = 900};

	(void)state;
	assert_false(quota_after(c, &l, &u, &low, 99));
	assert_true(quota_after(c, &l, &u, &low, 100));
	assert_false(quota_after(c, &l, &u, &high, 50));
	assert_false(quota_after(c, &l, &u, &(struct pm_stat){.octets = 800}, 50));
	assert_true(quota_after(c, &l, &u, &low, 200)); /* it was less meanwhile */
	assert_false(quota_after(c, &(struct quota_limits){0}, &u, &low, 2000));
}

/* 80 percent of a small limit: the first number that is as much. */
static void
a_warning_is_not_early(void **state)
{
	(void)state;
	for (uint64_t limit = 1; limit <= 250; limit++) {
		struct quota_limits l = {.msgs = limit};
		uint64_t first = 0;

		for (uint64_t n = 0; n < limit && first == 0; n++) {
			struct pm_user u = user("early@x.example");

			if (quota_after(c, &l, &u, &(struct pm_stat){.count = n}, 1))
				first = n + 1;
		}
		if (first * 100 < limit * 80 || (first - 1) * 100 >= limit * 80)
			fail_msg("of %u messages at the %uth", (unsigned)limit, (unsigned)first);
		/* it is emptied */
		(void)quota_after(c, &l, &(struct pm_user){.name = {"early@x.example", 15}},
				  &(struct pm_stat){0}, 0);
	}
}

/* ---- many threads ---------------------------------------------------------------------------- */

static _Atomic unsigned taken, refused;

static void *
take_and_drop(void *arg)
{
	struct quota_limits l;

	(void)arg;
	limits_of("x@club.example", &l);
	for (int i = 0; i < ROUNDS; i++) {
		struct quota_hold h = {0};
		int32_t rc = quota_domain_take(c, &l, 10, &h, NULL);

		if (rc != PM_OK) {
			atomic_fetch_add(&refused, 1);
			continue;
		}
		if (i % 3 == 0) {
			quota_domain_give_back(c, &h);
			continue;
		}
		quota_domain_end(c, &h, PM_OK);
		atomic_fetch_add(&taken, 1);
		if (i % 3 == 1) {
			quota_domain_drop(c, &l, 10, 1, &h);
			quota_domain_end(c, &h, PM_OK);
			atomic_fetch_sub(&taken, 1);
		}
	}
	return NULL;
}

static void
in_threads(void *(*run)(void *))
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, run, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

/* A count of the mailboxes becomes the domain's, unless a message may be in it twice or not at
 * all. */
static void
counted_anew_beside_changes(void **state)
{
	struct quota_usage u = {0}, now;
	struct quota_hold come = {0}, go = {0};
	struct quota_limits l;

	(void)state;
	limits_of("x@club.example", &l);
	assert_int_equal(quota_domain_set(c, "club.example", 0, true, 50, 5), PM_OK);
	assert_int_equal(quota_domain_take(c, &l, 10, &come, NULL), PM_OK);
	assert_int_equal(quota_domain_get(c, "club.example", &u), PM_OK);
	assert_int_equal(u.under_way, 1);
	/* is it in its mailbox, or not yet? */
	assert_int_equal(quota_domain_set(c, "club.example", u.changes, false, 60, 6), PM_AGAIN);
	quota_domain_end(c, &come, PM_OK);
	assert_int_equal(quota_domain_set(c, "club.example", u.changes, false, 60, 6), PM_AGAIN);
	assert_int_equal(quota_domain_get(c, "club.example", &u), PM_OK);
	assert_int_equal(quota_domain_set(c, "club.example", u.changes, false, 60, 6), PM_OK);
	assert_int_equal(quota_domain_get(c, "club.example", &now), PM_OK);
	assert_true(now.msgs == 6 && now.octets == 60 && !now.doubtful);
	/* or is it gone already? */
	quota_domain_drop(c, &l, 10, 1, &go);
	assert_int_equal(quota_domain_get(c, "club.example", &u), PM_OK);
	assert_int_equal(quota_domain_set(c, "club.example", u.changes, false, 50, 5), PM_AGAIN);
	assert_int_equal(quota_domain_set(c, "club.example", u.changes, true, 50, 5), PM_OK);
	quota_domain_end(c, &go, PM_OK);
	assert_int_equal(quota_domain_get(c, "club.example", &now), PM_OK);
	assert_true(now.doubtful);
	assert_int_equal(quota_domain_set(c, "club.example", now.changes, false, 50, 5), PM_OK);
	assert_int_equal(quota_domain_get(c, "club.example", &now), PM_OK);
	assert_true(now.msgs == 5 && !now.doubtful);
}

static void
a_count_by_many_threads(void **state)
{
	struct quota_usage u = {0};

	(void)state;
	(void)quota_domain_get(c, "club.example", &u);
	assert_int_equal(quota_domain_set(c, "club.example", u.changes, false, 0, 0), PM_OK);
	in_threads(take_and_drop);
	assert_int_equal(quota_domain_get(c, "club.example", &u), PM_OK);
	assert_int_equal(u.msgs, atomic_load(&taken));
	assert_int_equal(u.octets, 10 * u.msgs);
	assert_int_equal(u.under_way, 0);
	assert_false(u.doubtful);
	assert_true(u.msgs <= 40 && atomic_load(&refused) > 0);
}

static bool
badmail_totals(struct badmail_state *ret)
{
	struct badmail_store st;

	if (badmail_store_lock(c, &st, NULL) != PM_OK || !badmail_store_unlock(&st))
		return false;
	*ret = st.s;
	return true;
}

static void *
keep_mail(void *arg)
{
	struct pm_str rcpt = {"a@b.example", 11};
	struct badmail_item item = {
		.cls = BADMAIL_REFUSED, .rcpts = &rcpt, .n_rcpts = 1, .reason = {"why", 3}};
	struct badmail_state t;

	(void)arg;
	for (int i = 0; i < 30; i++) {
		struct badmail *b;
		char id[17];

		if (badmail_begin(c, &b, NULL) != PM_OK || badmail_write(b, "x\r\n", 3) != PM_OK ||
		    badmail_commit(b, &item, id, NULL) != PM_OK)
			atomic_fetch_add(&refused, 1);
		badmail_end(b);
		if (!badmail_totals(&t) || t.cls[0].items + t.cls[1].items > 100)
			atomic_fetch_add(&refused, 1);
		(void)badmail_door(c, 10, NULL, 0);
	}
	return NULL;
}

static void
badmail_by_many_threads(void **state)
{
	struct badmail_state t;

	(void)state;
	atomic_store(&refused, 0);
	in_threads(keep_mail);
	assert_int_equal(atomic_load(&refused), 0);
	assert_true(badmail_totals(&t));
	assert_int_equal(t.cls[BADMAIL_REFUSED].items, 100);
	assert_int_equal(t.dropped, THREADS * 30 - 100);
}

/* One message, two reasons: one file, two items. */
static void
two_items_of_one_message(void **state)
{
	struct pm_str rcpts[2] = {{"a@b.example", 11}, {"c@d.example", 11}};
	struct badmail_item item = {
		.cls = BADMAIL_REFUSED, .rcpts = rcpts, .n_rcpts = 1, .reason = {"unknown", 7}};
	char first[17], second[17], path[BADMAIL_PATH_MAX];
	enum badmail_class cls;
	struct badmail *b;
	uint64_t id;
	struct stat st;
	json_t *j;

	(void)state;
	assert_int_equal(badmail_begin(c, &b, NULL), PM_OK);
	assert_int_equal(badmail_write(b, "Subject: x\r\n\r\ny\r\n", 17), PM_OK);
	assert_int_equal(badmail_commit(b, &item, first, NULL), PM_OK);
	item = (struct badmail_item){.cls = BADMAIL_RETRY,
				     .rcpts = &rcpts[1],
				     .names = &rcpts[1],
				     .n_rcpts = 1,
				     .reason = {"store\xff", 6},
				     .sender = {"s@t.example", 11}};
	assert_int_equal(badmail_commit(b, &item, second, NULL), PM_OK);
	assert_int_equal(badmail_write(b, "z", 1), PM_INVALID); /* it is promised as it is */
	badmail_end(b);
	assert_true(first[0] == 'x' && second[0] == 'r');
	assert_true(badmail_id_parse(second, &cls, &id));
	badmail_place_item(&c->badmail, cls, id, ".eml", path, sizeof(path));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_nlink, 2);
	assert_int_equal(st.st_size, 17);
	j = badmail_item_load(&c->badmail, cls, id);
	assert_non_null(j);
	assert_string_equal(badmail_item_text(j, "reason"),
			    "store\\xff"); /* JSON has no such byte */
	json_decref(j);
}

static void *
look_at_volume(void *arg)
{
	struct volume *v = volume_get(&c->volumes[0]); /* as a reload would */

	(void)arg;
	for (int i = 0; i < 50; i++) {
		char text[200];

		if (volume_check(v, i, text, sizeof(text)) != VOLUME_OK)
			atomic_fetch_add(&refused, 1);
		if (volume_check(v, UINT64_MAX, NULL, 0) != VOLUME_LOW)
			atomic_fetch_add(&refused, 1);
		if (i % 10 == 0)
			volume_prepare(c);
	}
	return NULL;
}

/* A disk is looked at once a second: writes in between must not go into the reserve unseen. */
static void
a_volume_counts_between_looks(void **state)
{
	struct volume *v = volume_get(&c->volumes[0]);
	char text[200] = "";
	uint64_t mount;

	(void)state;
	volume_prepare(c);
	assert_int_equal(volume_check(v, 1, NULL, 0), VOLUME_OK);
	/* a copy is counted if it is there, or may be, according to the outcome of its commit */
	for (int32_t rc = PM_EXISTS - 10; rc <= PM_AGAIN + 10; rc++) {
		bool there = rc == PM_OK || rc == PM_UNKNOWN;

		volume_wrote(v, UINT64_C(1) << 52, rc);
		if (volume_enter(v, 1, &mount, text, sizeof(text)) != (there ? PM_NOSPACE : PM_OK))
			fail_msg("code %d", rc);
		assert_true(!there || strstr(text, "reserve"));
		if (there)
			volume_prepare(c);
	}
	assert_int_equal(volume_check(v, 1, NULL, 0), VOLUME_OK);
	volume_wrote(NULL, 1, PM_OK);
}

static void
a_volume_by_many_threads(void **state)
{
	(void)state;
	atomic_store(&refused, 0);
	in_threads(look_at_volume);
	assert_int_equal(atomic_load(&refused), 0);
	/* nothing is known about a store without a volume */
	assert_int_equal(volume_check(NULL, UINT64_MAX, NULL, 0), VOLUME_OK);
}

/* ---- pages ----------------------------------------------------------------------------------- */

struct page {
	struct statefile_head head;
	uint64_t a, b;
};

static void
pages_tell_damage(void **state)
{
	enum statefile_found found;
	char path[100];
	struct page p;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/page", dir);
	fd = statefile_open(path, "unittest", &p, sizeof(p), &found);
	assert_true(fd != -1 && found == STATEFILE_NEW && p.a == 0);
	p.a = 4711;
	assert_true(statefile_write(fd, &p, sizeof(p)));
	statefile_close(fd);
	assert_int_equal(statefile_look(path, "unittest", &p, sizeof(p), &found), 0);
	assert_true(found == STATEFILE_SOUND && p.a == 4711);
	assert_int_equal(statefile_look(path, "othertst", &p, sizeof(p), &found), 0);
	assert_true(found == STATEFILE_DAMAGED && p.a == 0);
	assert_int_equal(truncate(path, 30), 0);
	assert_int_equal(statefile_look(path, "unittest", &p, sizeof(p), &found), 0);
	assert_int_equal(found, STATEFILE_DAMAGED);
	assert_int_equal(statefile_look("/nowhere/page", "unittest", &p, sizeof(p), &found), -1);
	assert_int_equal(errno, ENOENT);
}

static int
mkdir_and_hold(char *path, int tell)
{
	struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char *slash = strrchr(path, '/');
	int fd;

	*slash = '\0';
	(void)mkdir(path, 0700);
	*slash = '/';
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd == -1 || fcntl(fd, F_OFD_SETLK, &fl) != 0 || write(tell, "x", 1) != 1)
		return 1;
	return pause();
}

/* A process is alive as long as it holds the lock on its file: no look into /proc. */
static void
a_process_lives_while_it_holds_its_lock(void **state)
{
	struct statefile_owner self = statefile_self(), other = self, child = {0};
	char path[200];
	int tell[2];
	pid_t pid;

	(void)state;
	other.mark++;
	assert_false(statefile_alive(dir, &other));
	assert_int_equal(pipe(tell), 0);
	pid = fork();
	if (pid == 0) { /* with a mark of its own: that of another process */
		snprintf(path, sizeof(path), "%s/alive/%d.7", dir, (int)getpid());
		_exit(mkdir_and_hold(path, tell[1]));
	}
	assert_int_equal(read(tell[0], path, 1), 1);
	child = (struct statefile_owner){.pid = pid, .mark = 7};
	assert_true(statefile_join(dir)); /* and it sweeps only the dead */
	assert_true(statefile_alive(dir, &self));
	assert_true(statefile_alive(dir, &child));
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(statefile_alive(dir, &child));
	snprintf(path, sizeof(path), "%s/alive/%d.7", dir, (int)pid);
	assert_int_equal(access(path, F_OK), -1);
	assert_true(statefile_alive("/dev/null", &child)); /* cannot look */
	assert_true(statefile_same_boot(statefile_boot(), statefile_boot()));
	assert_true(statefile_same_boot(2000000, 2000100)); /* by the clock */
	assert_false(statefile_same_boot(2000000, 3000000));
	assert_false(statefile_same_boot(2000001, 2000003));
}

/* ---- undo ------------------------------------------------------------------------------------ */

static struct pm_str
str(const char *s)
{
	return (struct pm_str){s, strlen(s)};
}

/* The mailbox to be moved now, as "name tries". */
static const char *
due(int64_t now_ms)
{
	static char text[PM_NAME_MAX + 16];
	char name[PM_NAME_MAX + 1];
	unsigned tries;

	if (!undo_due(now_ms, name, &tries))
		return "-";
	snprintf(text, sizeof(text), "%s %u", name, tries);
	return text;
}

static void
mailboxes_that_wait_to_be_moved(void **state)
{
	struct conf_section attic = {.name = "attic"};
	struct conf with = {.undo = &attic, .undo_waiting = 10}, without = {0};
	int64_t now = mono_ms();

	(void)state;
	undo_hidden(&without, str("ann"));
	assert_string_equal(due(INT64_MAX), "-");
	undo_hidden(&with, str("ann"));
	undo_hidden(&with, str("ann@x"));
	undo_hidden(&with, str("ann"));
	undo_hidden(&with, str(""));
	assert_string_equal(due(now), "-"); /* not at once */
	assert_string_equal(due(now + UNDO_DELAY_MS + 1000), "ann 0");
	assert_string_equal(due(now + UNDO_DELAY_MS + 1000), "ann@x 0");
	assert_string_equal(due(INT64_MAX), "-");
	/* later and later, at last every hour */
	undo_again("ann", 1, now);
	assert_string_equal(due(now + 119999), "-");
	assert_string_equal(due(now + 120000), "ann 1");
	undo_again("ann", 900, now);
	assert_string_equal(due(now + (INT64_C(60000) << 6) - 1), "-");
	/* but at once when there is more of it */
	undo_hidden(&with, str("ann"));
	assert_string_equal(due(now + UNDO_DELAY_MS + 1000), "ann 0");
	assert_string_equal(due(INT64_MAX), "-");
	undo_again("ann", 1000, now);
	assert_string_equal(due(now + (INT64_C(60000) << 6)), "ann 1000");
	assert_false(undo_missed());
}

static void
a_name_that_does_not_fit_is_missed(void **state)
{
	struct conf_section attic = {.name = "attic"};
	struct conf with = {.undo = &attic, .undo_waiting = 3000};
	char name[PM_NAME_MAX + 2];
	unsigned n = 0;

	(void)state;
	memset(name, 'x', sizeof(name));
	undo_hidden(&with, (struct pm_str){name, PM_NAME_MAX + 1});
	assert_string_equal(due(INT64_MAX), "-");
	for (int i = 0; i < 3000; i++) {
		snprintf(name, sizeof(name), "user%d", i);
		undo_hidden(&with, str(name));
	}
	undo_hidden(&with, str("user7")); /* it has a place */
	assert_false(undo_missed());
	undo_hidden(&with, str("one more"));
	assert_true(undo_missed());
	assert_false(undo_missed()); /* it was told */
	while (strcmp(due(INT64_MAX), "-") != 0)
		n++;
	assert_int_equal(n, 3000);
}

static void
a_users_mailbox_in_the_undo_storage(void **state)
{
	struct pm_user u = {.size = sizeof(u),
			    .name = str("ann@zero.example"),
			    .key = str("4711"),
			    .domain = str("other"),
			    .quota_octets = 5,
			    .quota_msgs = 5,
			    .domain_octets = 5,
			    .domain_msgs = 5},
		       v;

	(void)state;
	undo_user(&u, &v);
	/* two stores may have the same key */
	assert_memory_equal(v.key.p, "ann@zero.example", v.key.n);
	assert_memory_equal(v.domain.p, "zero.example", v.domain.n);
	assert_int_equal(v.quota_octets + v.quota_msgs + v.domain_octets + v.domain_msgs, 0);
	u.name = str("ann");
	undo_user(&u, &v);
	assert_string_equal(v.domain.p, "other");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_user_goes_before_the_domain),
		cmocka_unit_test(when_it_is_over),
		cmocka_unit_test(a_user_who_may_not_delete_expires_nothing),
		cmocka_unit_test(limits_that_a_store_cannot_keep_are_taken_back),
		cmocka_unit_test(limits_come_from_user_domain_site),
		cmocka_unit_test(full_is_full),
		cmocka_unit_test(a_warning_comes_once),
		cmocka_unit_test(a_warning_is_not_early),
		cmocka_unit_test(counted_anew_beside_changes),
		cmocka_unit_test(a_count_by_many_threads),
		cmocka_unit_test(badmail_by_many_threads),
		cmocka_unit_test(two_items_of_one_message),
		cmocka_unit_test(a_volume_counts_between_looks),
		cmocka_unit_test(a_volume_by_many_threads),
		cmocka_unit_test(pages_tell_damage),
		cmocka_unit_test(a_process_lives_while_it_holds_its_lock),
		cmocka_unit_test(mailboxes_that_wait_to_be_moved),
		cmocka_unit_test(a_name_that_does_not_fit_is_missed),
		cmocka_unit_test(a_users_mailbox_in_the_undo_storage),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
