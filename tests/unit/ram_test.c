/* SPDX-License-Identifier: Apache-2.0 */
/* The example module, loaded as the server loads it: lock, snapshot, commit, delivery, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

static struct rig_call rc;
static struct host_call *call;

static int
fresh(void **state)
{
	(void)state;
	rig_wall_ms = 0;
	call = rig_call(&rc);
	return 0;
}

static int
tidy(void **state)
{
	(void)state;
	rig_call_end(&rc);
	return 0;
}

static struct pm_user
user_of(const char *name)
{
	struct pm_user u;

	host_user_init(&u);
	u.name = (struct pm_str){name, strlen(name)};
	return u;
}

static void *
open_box(struct host_inst *i, const char *name, uint32_t flags, uint64_t *ret_count)
{
	struct pm_user u = user_of(name);
	void *mbox = NULL;

	assert_int_equal(host_mbox_open(i, call, &u, flags, ret_count, &mbox), PM_OK);
	return mbox;
}

static uint64_t
count_of(struct host_inst *i, const char *name, uint32_t flags)
{
	uint64_t n;

	host_mbox_close(i, open_box(i, name, flags, &n), call);
	return n;
}

static void
info_of(struct host_inst *i, void *mbox, uint64_t k, struct pm_msg *ret)
{
	assert_int_equal(
		host_mbox_info(i, mbox, call, k, 1,
			       PM_WANT_OCTETS | PM_WANT_UIDL | PM_WANT_DATES | PM_WANT_META, ret),
		PM_OK);
}

/* The whole of a message, read in pieces; malloc'd with a NUL. */
static char *
text_of(struct host_inst *i, void *mbox, uint64_t k, size_t piece, size_t *ret_n)
{
	char *text = malloc(1 << 16);
	size_t n = 0, got;
	void *msg;
	int32_t r;

	assert_int_equal(host_msg_open(i, mbox, call, k, &msg), PM_OK);
	while ((r = host_msg_read(i, msg, call, text + n, piece, &got)) == PM_OK)
		n += got;
	assert_int_equal(r, PM_END);
	host_msg_close(i, msg, call);
	text[n] = '\0';
	*ret_n = n;
	return text;
}

static int32_t
deliver(struct host_inst *i, const struct pm_rcpt *rcpt, uint32_t flags, const char *text,
	struct pm_result *ret)
{
	int32_t r;
	void *dlv;

	*ret = (struct pm_result){.size = sizeof(*ret)};
	assert_int_equal(host_dlv_begin(i, call, 0, flags, &dlv), PM_OK);
	r = host_dlv_rcpt(i, dlv, call, rcpt);
	if (r != PM_OK) {
		host_dlv_abort(i, dlv, call);
		return r;
	}
	assert_int_equal(host_dlv_write(i, dlv, call, text, strlen(text)), PM_OK);
	assert_int_equal(host_dlv_prepare(i, dlv, call, ret), PM_OK);
	assert_int_equal(host_dlv_commit(i, dlv, call, ret), PM_OK);
	return ret->rc;
}

static int32_t
deliver_to(struct host_inst *i, const char *name, const char *text, struct pm_result *ret)
{
	struct pm_user u = user_of(name);
	struct pm_rcpt r = {.size = sizeof(r), .user = &u};

	return deliver(i, &r, 0, text, ret);
}

/* ---- accounts -------------------------------------------------------------------------------- */

static int32_t
verify(struct host_inst *i, const char *name, const char *password, struct pm_user *ret)
{
	struct pm_cred c;

	host_cred_init(&c);
	c.kind = PM_CRED_PASSWORD;
	c.authcid = (struct pm_str){name, strlen(name)};
	c.secret = (struct pm_str){password, strlen(password)};
	return host_verify(i, call, &c, ret);
}

static void
accounts(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, "user", "ann:secret", "user", "ben:x:y", NULL);
	struct pm_user u;
	struct pm_cred c;

	(void)state;
	assert_non_null(i);
	assert_int_equal(verify(i, "ann", "secret", &u), PM_OK);
	assert_memory_equal(u.name.p, "ann", 3);
	assert_int_equal(verify(i, "ben", "x:y", &u), PM_OK);
	assert_int_equal(verify(i, "ann", "secre", &u), PM_DENIED);
	assert_int_equal(verify(i, "ann", "secretsecret", &u), PM_DENIED);
	assert_int_equal(verify(i, "ann", "", &u), PM_DENIED);
	assert_int_equal(verify(i, "eve", "secret", &u), PM_NEXT);
	assert_int_equal(host_caps(i), 1u << PM_CRED_PASSWORD);
	host_cred_init(&c);
	c.kind = PM_CRED_TOKEN;
	assert_int_equal(host_verify(i, call, &c, &u), PM_UNSUPPORTED);
	c.authcid = (struct pm_str){"ann", 3};
	assert_int_equal(host_lookup(i, call, &c, &u), PM_OK);
	c.authcid.n = 2;
	assert_int_equal(host_lookup(i, call, &c, &u), PM_NOENT);
	host_close(i);
}

static void
wrong_accounts_are_reported_without_their_secrets(void **state)
{
	(void)state;
	assert_null(rig_open("ram", NULL, "user", "annsecret", "user", "ben:a", "user",
			     "ben:hunter2", "user", ":p", "user", "x:", "messages", "9999999",
			     NULL));
	assert_string_equal(rig_errors, "section test: messages: at most 1000000\n"
					"section test: user: number 1 is not NAME:PASSWORD\n"
					"section test: user: 'ben' is given twice\n"
					"section test: user: number 4 is not NAME:PASSWORD\n"
					"section test: user: number 5 is not NAME:PASSWORD\n");
}

/* ---- sessions -------------------------------------------------------------------------------- */

static void
made_up_mail_is_the_same_each_time(void **state)
{
	struct host_inst *i[2];
	void *mbox[2];
	uint64_t n[2];

	(void)state;
	for (int k = 0; k < 2; k++) {
		i[k] = rig_open("ram", NULL, "messages", "20", NULL);
		assert_non_null(i[k]);
		mbox[k] = open_box(i[k], "ann", PM_OPEN_EXCLUSIVE, &n[k]);
		assert_int_equal(n[k], 20);
	}
	for (uint64_t m = 0; m < 20; m++) {
		struct pm_msg a, b;
		size_t na, nb;
		char *ta = text_of(i[0], mbox[0], m, 7, &na),
		     *tb = text_of(i[1], mbox[1], m, 4096, &nb);
		uint64_t wire = 0;

		info_of(i[0], mbox[0], m, &a);
		info_of(i[1], mbox[1], m, &b);
		assert_memory_equal(&a, &b, sizeof(a));
		assert_int_equal(na, nb);
		assert_memory_equal(ta, tb, na);
		assert_int_equal(a.stored_bytes, na);
		for (size_t p = 0; p < na; p++) /* MAIL AS BYTES, the slow way */
			wire += ta[p] == '\n' && (p == 0 || ta[p - 1] != '\r') ? 2 : 1;
		if (ta[na - 1] != '\n')
			wire += 2;
		assert_int_equal(a.octets, wire);
		assert_int_equal(!!(a.flags & PM_MSG_UTF8_HEADER), (m + 1) % 10 == 0);
		free(ta);
		free(tb);
	}
	for (int k = 0; k < 2; k++) {
		host_mbox_close(i[k], mbox[k], call);
		host_close(i[k]);
	}
}

static void
one_exclusive_session_and_snapshots(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, "messages", "3", NULL);
	struct pm_user u = user_of("ann");
	struct pm_result res;
	void *mbox, *second = NULL, *reader;
	struct pm_msg info;
	uint64_t n, m;
	char *text;
	size_t len;

	(void)state;
	assert_non_null(i);
	mbox = open_box(i, "ann", PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(host_mbox_open(i, call, &u, PM_OPEN_EXCLUSIVE, &m, &second), PM_BUSY);
	assert_null(second);
	assert_int_equal(host_box_delete(i, call, &u), PM_BUSY);
	reader = open_box(i, "ann", PM_OPEN_READONLY, &m);
	assert_int_equal(m, 3);
	assert_int_equal(count_of(i, "ben", PM_OPEN_EXCLUSIVE), 3); /* another one's is free */
	assert_int_equal(deliver_to(i, "ann", "new\r\n", &res), PM_OK);
	/* not in the snapshot */
	assert_int_equal(host_mbox_info(i, mbox, call, 3, 1, 0, &info), PM_INVALID);
	{
		uint8_t del[1] = {2};
		struct pm_commit c = {.size = sizeof(c), .n = 3, .del = del};
		uint64_t done;

		/* has no lock */
		assert_int_equal(host_mbox_commit(i, reader, call, &c, &done), PM_INVALID);
		assert_int_equal(host_mbox_commit(i, mbox, call, &c, &done), PM_OK);
		assert_int_equal(done, 1);
		/* the same again */
		assert_int_equal(host_mbox_commit(i, mbox, call, &c, &done), PM_OK);
		assert_int_equal(done, 1);
		c.n = 2;
		assert_int_equal(host_mbox_commit(i, mbox, call, &c, &done), PM_INVALID);
	}
	text = text_of(i, reader, 1, 100, &len); /* a snapshot keeps what another deleted */
	assert_non_null(strstr(text, "Letter 2"));
	free(text);
	host_mbox_close(i, reader, call);
	host_mbox_close(i, mbox, call);
	mbox = open_box(i, "ann", PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, 3); /* 1, 3, and the new one */
	info_of(i, mbox, 1, &info);
	assert_memory_equal(info.uidl, "letter-3", 8);
	info_of(i, mbox, 2, &info);
	assert_int_equal(info.uidl_len, res.uidl_len);
	assert_memory_equal(info.uidl, res.uidl, res.uidl_len);
	host_mbox_close(i, mbox, call); /* without commit nothing is deleted */
	assert_int_equal(count_of(i, "ann", PM_OPEN_EXCLUSIVE), 3);
	host_close(i);
}

static void
one_message_at_a_time(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, "messages", "2", NULL);
	void *mbox, *msg, *other;
	uint64_t n;

	(void)state;
	mbox = open_box(i, "ann", PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(host_msg_open(i, mbox, call, 0, &msg), PM_OK);
	assert_int_equal(host_msg_open(i, mbox, call, 1, &other), PM_INVALID);
	host_msg_close(i, msg, call);
	assert_int_equal(host_msg_open(i, mbox, call, 2, &msg), PM_INVALID);
	assert_int_equal(host_msg_open(i, mbox, call, 1, &msg), PM_OK);
	host_msg_close(i, msg, call);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

static void
marks_and_hiding(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, "messages", "4", NULL);
	uint8_t del[1] = {1}, seen[1] = {2}, back[1] = {1};
	struct pm_commit c = {
		.size = sizeof(c), .n = 4, .del = del, .retrieved = seen, .now_ms = 500};
	struct pm_user u = user_of("ann");
	struct pm_msg info;
	struct pm_stat st;
	uint64_t n, done;
	void *mbox;

	(void)state;
	rig_wall_ms = 1000;
	mbox = open_box(i, "ann", PM_OPEN_EXCLUSIVE, &n);
	c.keep_until_ms = 5000;
	assert_int_equal(host_mbox_commit(i, mbox, call, &c, &done), PM_OK);
	host_mbox_close(i, mbox, call);
	assert_int_equal(count_of(i, "ann", PM_OPEN_EXCLUSIVE), 3);
	assert_int_equal(host_box_stat(i, call, &u, &st), PM_OK);
	assert_int_equal(st.count, 3);
	assert_int_equal(st.hidden, 1);
	assert_true(st.octets > 0 && st.hidden_octets > 0);
	mbox = open_box(i, "ann", PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN, &n);
	assert_int_equal(n, 4);
	info_of(i, mbox, 0, &info);
	assert_true(info.flags & PM_MSG_HIDDEN);
	info_of(i, mbox, 1, &info);
	assert_int_equal(info.first_retrieved_ms, 500);
	c = (struct pm_commit){
		.size = sizeof(c), .n = 4, .restore = back, .retrieved = seen, .now_ms = 900};
	assert_int_equal(host_mbox_commit(i, mbox, call, &c, &done), PM_OK);
	assert_int_equal(done, 0);
	info_of(i, mbox, 1, &info);
	assert_int_equal(info.first_retrieved_ms, 500); /* the first time counts */
	c = (struct pm_commit){.size = sizeof(c), .n = 4, .del = del, .keep_until_ms = 5000};
	assert_int_equal(host_mbox_commit(i, mbox, call, &c, &done), PM_OK);
	host_mbox_close(i, mbox, call);
	rig_wall_ms = 5000; /* its time has come */
	assert_int_equal(count_of(i, "ann", PM_OPEN_EXCLUSIVE | PM_OPEN_HIDDEN), 3);
	host_close(i);
}

static void
mailboxes_from_outside(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, NULL);
	struct pm_user ann = user_of("ann"), nobody = user_of("nobody");
	struct pm_result res;
	struct pm_box box[3];
	struct pm_str cursor = {NULL, 0};
	char names[40] = "", place[PM_CURSOR_MAX];
	struct pm_stat st;
	size_t got;

	(void)state;
	assert_int_equal(count_of(i, "empty", PM_OPEN_EXCLUSIVE), 0); /* opening makes no mailbox */
	assert_int_equal(host_box_stat(i, call, &nobody, &st), PM_NOENT);
	assert_int_equal(host_box_delete(i, call, &nobody), PM_NOENT);
	for (const char *p = "abcde"; *p; p++) {
		char name[2] = {*p, '\0'};

		assert_int_equal(deliver_to(i, name, "x\r\n", &res), PM_OK);
	}
	assert_int_equal(deliver_to(i, "ann", "x\r\n", &res), PM_OK);
	do {
		assert_int_equal(host_box_list(i, call, cursor, 3, box, &got), PM_OK);
		for (size_t k = 0; k < got; k++) {
			size_t at = strlen(names);

			snprintf(names + at, sizeof(names) - at, "%.*s ", (int)box[k].key_len,
				 box[k].key);
		}
		if (got > 0) { /* a copy: the records are cleared by the next call */
			memcpy(place, box[got - 1].cursor, box[got - 1].cursor_len);
			cursor = (struct pm_str){place, box[got - 1].cursor_len};
		}
	} while (got == 3);
	assert_string_equal(names, "a b c d e ann ");
	cursor = (struct pm_str){"no", 2};
	assert_int_equal(host_box_list(i, call, cursor, 3, box, &got), PM_INVALID);
	assert_int_equal(host_box_delete(i, call, &ann), PM_OK);
	assert_int_equal(host_box_stat(i, call, &ann, &st), PM_NOENT);
	assert_int_equal(count_of(i, "ann", PM_OPEN_EXCLUSIVE), 0);
	host_close(i);
}

/* ---- delivery -------------------------------------------------------------------------------- */

static void
several_recipients_each_with_an_outcome(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, NULL);
	struct pm_user users[3] = {user_of("ann"), user_of("ben"), user_of("full")};
	struct pm_result res[3], first;
	struct pm_msg info;
	uint64_t n;
	void *dlv, *mbox;
	char *text;
	size_t len;

	(void)state;
	assert_int_equal(deliver_to(i, "full", "x\r\n", &first), PM_OK);
	users[2].quota_msgs = 1;
	assert_int_equal(host_dlv_begin(i, call, 100, 0, &dlv), PM_OK);
	for (int k = 0; k < 3; k++) {
		struct pm_rcpt r = {.size = sizeof(r), .user = &users[k]};

		if (k == 1)
			r.head = (struct pm_str){"Delivered-To: ben\r\n", 19};
		assert_int_equal(host_dlv_rcpt(i, dlv, call, &r), PM_OK);
		res[k] = (struct pm_result){.size = sizeof(res[k])};
	}
	assert_int_equal(host_dlv_write(i, dlv, call, "Subject: x\r\n", 12), PM_OK);
	assert_int_equal(host_dlv_write(i, dlv, call, "\r\n.\r\n", 5), PM_OK);
	{
		struct pm_rcpt late = {.size = sizeof(late), .user = &users[0]};

		assert_int_equal(host_dlv_rcpt(i, dlv, call, &late), PM_INVALID);
	}
	assert_int_equal(host_dlv_prepare(i, dlv, call, res), PM_OK);
	assert_int_equal(res[0].rc, PM_OK);
	assert_int_equal(res[2].rc, PM_QUOTA);
	assert_int_equal(count_of(i, "ann", PM_OPEN_READONLY), 0); /* invisible before the commit */
	assert_int_equal(host_dlv_commit(i, dlv, call, res), PM_OK);
	assert_int_equal(res[2].rc, PM_QUOTA);
	assert_int_equal(count_of(i, "ann", PM_OPEN_READONLY), 1);
	assert_int_equal(count_of(i, "full", PM_OPEN_READONLY), 1);
	mbox = open_box(i, "ben", PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, 1);
	info_of(i, mbox, 0, &info);
	assert_int_equal(info.octets, 36);
	text = text_of(i, mbox, 0, 1000, &len);
	assert_string_equal(text, "Delivered-To: ben\r\nSubject: x\r\n\r\n.\r\n");
	free(text);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

static void
refused_and_aborted_deliveries(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, "max_message", "10", NULL);
	struct pm_user ann = user_of("ann"), nameless = user_of("");
	struct pm_rcpt r = {.size = sizeof(r), .user = &ann};
	struct pm_result res;
	void *dlv;

	(void)state;
	assert_int_equal(host_dlv_begin(i, call, 11, 0, &dlv), PM_TOOBIG);
	assert_int_equal(host_dlv_begin(i, call, 0, 0, &dlv), PM_OK);
	assert_int_equal(host_dlv_prepare(i, dlv, call, &res), PM_INVALID); /* to nobody */
	r.user = &nameless;
	assert_int_equal(host_dlv_rcpt(i, dlv, call, &r), PM_INVALID);
	r.user = &ann;
	assert_int_equal(host_dlv_rcpt(i, dlv, call, &r), PM_OK);
	assert_int_equal(host_dlv_write(i, dlv, call, "0123456789", 10), PM_OK);
	assert_int_equal(host_dlv_write(i, dlv, call, "x", 1), PM_TOOBIG);
	assert_int_equal(host_dlv_prepare(i, dlv, call, &res), PM_OK);
	host_dlv_abort(i, dlv, call);
	assert_int_equal(count_of(i, "ann", PM_OPEN_READONLY), 0);
	host_close(i);
}

static void
imports_keep_what_they_bring(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, NULL);
	struct pm_user ann = user_of("ann");
	struct pm_rcpt r = {.size = sizeof(r),
			    .user = &ann,
			    .uidl = {"old-2", 5},
			    .meta = {"M", 1},
			    .order = 2,
			    .received_ms = 22,
			    .first_retrieved_ms = 33};
	struct pm_result res;
	struct pm_msg info;
	uint64_t n;
	void *mbox;

	(void)state;
	assert_int_equal(deliver(i, &r, PM_DLVF_IMPORT, "two\r\n", &res), PM_OK);
	assert_memory_equal(res.uidl, "old-2", 5);
	assert_int_equal(deliver(i, &r, PM_DLVF_IMPORT, "two\r\n", &res), PM_EXISTS);
	r.uidl = (struct pm_str){"old-1", 5};
	r.order = 1;
	assert_int_equal(deliver(i, &r, PM_DLVF_IMPORT, "one\r\n", &res), PM_OK);
	r.uidl = (struct pm_str){"with space", 10};
	assert_int_equal(deliver(i, &r, PM_DLVF_IMPORT, "x\r\n", &res), PM_INVALID);
	assert_int_equal(deliver_to(i, "ann", "new\r\n", &res), PM_OK);
	mbox = open_box(i, "ann", PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, 3);
	info_of(i, mbox, 0, &info); /* by order, not by arrival */
	assert_memory_equal(info.uidl, "old-1", 5);
	info_of(i, mbox, 1, &info);
	assert_memory_equal(info.uidl, "old-2", 5);
	assert_int_equal(info.received_ms, 22);
	assert_int_equal(info.first_retrieved_ms, 33);
	assert_int_equal(info.meta_len, 1);
	assert_int_equal(info.meta[0], 'M');
	info_of(i, mbox, 2, &info);
	assert_int_equal(info.order, 3);
	host_mbox_close(i, mbox, call);
	host_close(i);
}

static void
a_repeated_delivery_is_one(void **state)
{
	struct host_inst *i = rig_open("ram", NULL, NULL);
	struct pm_result first, again;

	(void)state;
	call->pm.op_id[3] = 7;
	assert_int_equal(deliver_to(i, "ann", "x\r\n", &first), PM_OK);
	assert_int_equal(deliver_to(i, "ann", "x\r\n", &again), PM_OK);
	assert_memory_equal(&first, &again, sizeof(first));
	assert_int_equal(count_of(i, "ann", PM_OPEN_READONLY), 1);
	call->pm.op_id[3] = 8;
	assert_int_equal(deliver_to(i, "ann", "x\r\n", &again), PM_OK);
	assert_int_equal(count_of(i, "ann", PM_OPEN_READONLY), 2);
	assert_memory_not_equal(first.uidl, again.uidl, first.uidl_len);
	host_close(i);
}

/* ---- files ----------------------------------------------------------------------------------- */

static void
files_are_messages_byte_for_byte(void **state)
{
	char dir[200], box[220];
	struct host_inst *i;
	struct pm_msg info;
	uint64_t n;
	void *mbox;
	char *text;
	size_t len;

	(void)state;
	snprintf(dir, sizeof(dir), "%s/mail", rig_dir());
	snprintf(box, sizeof(box), "%s/ann", dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(box, 0755), 0);
	(void)rig_file("mail/ann/2-nul", "a\0b\r\n", 5);
	(void)rig_file("mail/ann/1 first", "Subject: 1\n\n.\n", 14);
	(void)rig_file("mail/ann/.hidden", "x", 1);
	i = rig_open("ram", NULL, "load", dir, "messages", "2", NULL);
	assert_string_equal(rig_errors, "");
	mbox = open_box(i, "ann", PM_OPEN_EXCLUSIVE, &n);
	assert_int_equal(n, 2);
	info_of(i, mbox, 0, &info);
	assert_int_equal(info.octets, 17);
	assert_int_equal(info.uidl_len, 17); /* a name with a space cannot be one */
	info_of(i, mbox, 1, &info);
	assert_memory_equal(info.uidl, "2-nul", 5);
	text = text_of(i, mbox, 1, 1, &len);
	assert_int_equal(len, 5);
	assert_memory_equal(text, "a\0b\r\n", 5);
	free(text);
	host_mbox_close(i, mbox, call);
	assert_int_equal(count_of(i, "ben", PM_OPEN_READONLY), 2); /* the others get made-up mail */
	host_close(i);
	assert_null(rig_open("ram", NULL, "load", "/nonexistent/x", NULL));
	assert_non_null(strstr(rig_errors, "load: '/nonexistent/x': No such file"));
	assert_null(rig_open("ram", NULL, "load", dir, "max_message", "3", NULL));
	assert_non_null(strstr(rig_errors, "'ann/1 first': File too large"));
	for (int k = 0; k < 3; k++) {
		static const char *const names[] = {"2-nul", "1 first", ".hidden"};
		char path[300];

		snprintf(path, sizeof(path), "%s/%s", box, names[k]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(rmdir(box), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* ---- threads --------------------------------------------------------------------------------- */

#define THREADS 4
#define ROUNDS 200

static struct host_inst *shared;
static _Atomic uint64_t delivered, deleted;

/* Delivers to one mailbox, and deletes from it when it is free: nothing may get lost or come
 * twice. */
static void *
churn(void *arg)
{
	struct pm_user u = user_of("busy");
	struct rig_call r;
	struct host_call *c = rig_call(&r);
	struct pm_rcpt rcpt = {.size = sizeof(rcpt), .user = &u};

	(void)arg;
	for (int k = 0; k < ROUNDS; k++) {
		struct pm_result res = {.size = sizeof(res)};
		void *mbox = NULL, *dlv;
		uint64_t n, done;
		uint8_t del[PM_SLICE_MAX];

		assert_int_equal(host_dlv_begin(shared, c, 0, 0, &dlv), PM_OK);
		assert_int_equal(host_dlv_rcpt(shared, dlv, c, &rcpt), PM_OK);
		assert_int_equal(host_dlv_write(shared, dlv, c, "x\r\n", 3), PM_OK);
		assert_int_equal(host_dlv_prepare(shared, dlv, c, &res), PM_OK);
		assert_int_equal(host_dlv_commit(shared, dlv, c, &res), PM_OK);
		assert_int_equal(res.rc, PM_OK);
		delivered++;
		if (host_mbox_open(shared, c, &u, k % 2 ? PM_OPEN_EXCLUSIVE : PM_OPEN_READONLY, &n,
				   &mbox) != PM_OK)
			continue;
		if (k % 2) {
			struct pm_commit commit = {.size = sizeof(commit), .n = n, .del = del};

			memset(del, 0x55, sizeof(del));
			assert_true(n <= 8 * sizeof(del));
			assert_int_equal(host_mbox_commit(shared, mbox, c, &commit, &done), PM_OK);
			assert_int_equal(done, (n + 1) / 2);
			deleted += done;
		}
		host_mbox_close(shared, mbox, c);
	}
	host_thread_exit();
	rig_call_end(&r);
	return NULL;
}

static void
threads_share_a_mailbox(void **state)
{
	pthread_t t[THREADS];

	(void)state;
	shared = rig_open("ram", NULL, NULL);
	for (int k = 0; k < THREADS; k++)
		assert_int_equal(pthread_create(&t[k], NULL, churn, NULL), 0);
	for (int k = 0; k < THREADS; k++)
		assert_int_equal(pthread_join(t[k], NULL), 0);
	assert_int_equal(delivered, THREADS * ROUNDS);
	assert_int_equal(count_of(shared, "busy", PM_OPEN_EXCLUSIVE), delivered - deleted);
	host_close(shared);
}

static int
begin(void **state)
{
	static const char *const modules[] = {"ram", NULL};

	(void)state;
	(void)rig_begin(modules);
	return 0;
}

static int
end(void **state)
{
	(void)state;
	rig_end();
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, tidy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(accounts),
		TEST(wrong_accounts_are_reported_without_their_secrets),
		TEST(made_up_mail_is_the_same_each_time),
		TEST(one_exclusive_session_and_snapshots),
		TEST(one_message_at_a_time),
		TEST(marks_and_hiding),
		TEST(mailboxes_from_outside),
		TEST(several_recipients_each_with_an_outcome),
		TEST(refused_and_aborted_deliveries),
		TEST(imports_keep_what_they_bring),
		TEST(a_repeated_delivery_is_one),
		TEST(files_are_messages_byte_for_byte),
		TEST(threads_share_a_mailbox),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
