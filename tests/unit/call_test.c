/* SPDX-License-Identifier: Apache-2.0 */
/* The results of a module are checked before the server believes them. */
#include "host/call.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "host/answer.h"
#include "rig.h"

/* ---- a module that gives the answers it is told to give -------------------------------------- */

static int32_t answer;
static void *handle;
static struct pm_user user_to_give;
static struct pm_msg msg_to_give;
static size_t got_to_give;
static uint64_t done_to_give;
static uint32_t kinds_to_give;
static int begun, ended;
static char told[400];
static size_t told_n;

static void
tell(const struct pm_call *call)
{
	if (told_n > 0)
		call->error(call, (struct pm_str){told, told_n});
}

static void
f_begin(void)
{
	begun++;
}

static void
f_end(void)
{
	ended++;
}

static int32_t
f_inst_call(void *inst, const struct pm_call *call)
{
	(void)inst;
	tell(call);
	return answer;
}

static int32_t
f_caps(void *inst, uint64_t *ret_kinds)
{
	(void)inst;
	*ret_kinds = 6;
	return answer;
}

static int32_t
f_user(void *inst, const struct pm_call *call, const struct pm_cred *cred, struct pm_user *ret)
{
	(void)inst;
	(void)cred;
	assert_int_equal(ret->size, sizeof(*ret));
	assert_int_equal(ret->rights, PM_RIGHTS_DEFAULT);
	assert_int_equal(ret->cache_s, PM_EXPIRE_SITE);
	assert_int_equal(call->size, sizeof(*call));
	if (answer == PM_OK) {
		user_to_give.size = ret->size;
		*ret = user_to_give;
	}
	return answer;
}

static int32_t
f_secret(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	 struct pm_secret *ret_secret, struct pm_user *ret)
{
	assert_int_equal(ret_secret->size, sizeof(*ret_secret));
	ret_secret->kinds = kinds_to_give;
	return f_user(inst, call, cred, ret);
}

static int32_t
f_mbox_open(void *inst, const struct pm_call *call, const struct pm_user *user, uint32_t flags,
	    uint64_t *ret_count, void **ret_mbox)
{
	(void)inst;
	(void)call;
	(void)user;
	(void)flags;
	*ret_count = 3;
	if (answer == PM_OK || answer == PM_AGAIN)
		*ret_mbox = handle;
	return answer;
}

static int32_t
f_mbox_info(void *mbox, const struct pm_call *call, uint64_t first, size_t n, size_t stride,
	    uint32_t want, struct pm_msg *ret)
{
	(void)mbox;
	(void)call;
	(void)first;
	(void)want;
	for (size_t i = 0; i < n; i++) {
		struct pm_msg *m = (struct pm_msg *)(void *)((char *)ret + i * stride);

		assert_int_equal(m->size, sizeof(*m));
		assert_int_equal(m->octets, 0);
		msg_to_give.size = m->size;
		if (answer == PM_OK)
			*m = msg_to_give;
	}
	return answer;
}

static int32_t
f_msg_open(void *mbox, const struct pm_call *call, uint64_t index, void **ret_msg)
{
	(void)mbox;
	(void)call;
	(void)index;
	if (answer == PM_OK)
		*ret_msg = handle;
	return answer;
}

static int32_t
f_msg_read(void *msg, const struct pm_call *call, void *buf, size_t cap, size_t *ret_got)
{
	(void)msg;
	(void)call;
	(void)buf;
	(void)cap;
	*ret_got = got_to_give;
	return answer;
}

static void
f_close(void *h, const struct pm_call *call)
{
	(void)h;
	(void)call;
}

static int32_t
f_commit(void *mbox, const struct pm_call *call, const struct pm_commit *commit, uint64_t *ret_done)
{
	(void)mbox;
	(void)call;
	(void)commit;
	*ret_done = done_to_give;
	return answer;
}

static int32_t
f_box_list(void *inst, const struct pm_call *call, struct pm_str cursor, size_t n, size_t stride,
	   struct pm_box *ret, size_t *ret_got)
{
	(void)inst;
	(void)call;
	(void)cursor;
	(void)stride;
	*ret_got = got_to_give;
	if (n > 0)
		ret->key_len = done_to_give > 0 ? (uint32_t)done_to_give : 1;
	return answer;
}

static int32_t
f_results(void *dlv, const struct pm_call *call, struct pm_result *ret, size_t stride)
{
	(void)dlv;
	(void)call;
	(void)ret;
	assert_int_equal(stride, sizeof(*ret));
	return answer;
}

static uint32_t stat_flags;

static int32_t
f_box_stat(void *inst, const struct pm_call *call, const struct pm_user *user, struct pm_stat *ret)
{
	(void)inst;
	(void)user;
	stat_flags = call->flags;
	assert_int_equal(ret->size, sizeof(*ret));
	return answer;
}

static int32_t
f_dlv_begin(void *inst, const struct pm_call *call, uint64_t hint, uint32_t flags, void **ret_dlv)
{
	(void)inst;
	(void)call;
	(void)hint;
	(void)flags;
	*ret_dlv = handle;
	return answer;
}

static const struct pm_life life = {
	.size = sizeof(life),
	.thread_begin = f_begin,
	.thread_end = f_end,
	.probe = f_inst_call,
	.tick = f_inst_call,
};
static const struct pm_auth auth = {
	.size = sizeof(auth),
	.caps = f_caps,
	.verify = f_user,
	.lookup = f_user,
	.secret = f_secret,
};
static const struct pm_storage storage = {
	.size = sizeof(storage),
	.mbox_open = f_mbox_open,
	.mbox_info = f_mbox_info,
	.msg_open = f_msg_open,
	.msg_read = f_msg_read,
	.msg_close = f_close,
	.mbox_commit = f_commit,
	.mbox_close = f_close,
	.box_list = f_box_list,
	.box_stat = f_box_stat,
};
static const struct pm_delivery delivery = {
	.size = sizeof(delivery),
	.dlv_begin = f_dlv_begin,
	.dlv_prepare = f_results,
	.dlv_commit = f_results,
	.dlv_abort = f_close,
};
static const struct pm_life no_life = {.size = sizeof(no_life)};
static const struct pm_module full = {.size = sizeof(full),
				      .life = &life,
				      .auth = &auth,
				      .storage = &storage,
				      .delivery = &delivery};
static const struct pm_module bare = {.size = sizeof(bare), .life = &no_life};
static struct host_inst inst = {.desc = &full}, nothing = {.desc = &bare};
static struct rig_call rc;
static struct host_call *call;

static int
fresh(void **state)
{
	(void)state;
	answer = PM_OK;
	handle = &handle;
	memset(&user_to_give, 0, sizeof(user_to_give));
	memset(&msg_to_give, 0, sizeof(msg_to_give));
	msg_to_give.uidl_len = 1;
	msg_to_give.uidl[0] = 'u';
	got_to_give = 1;
	done_to_give = 0;
	kinds_to_give = PM_SECRET_PLAIN;
	told_n = 0;
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

/* ---- the record ------------------------------------------------------------------------------ */

static void *
no_memory(void *ctx, size_t n)
{
	(void)ctx;
	(void)n;
	return NULL;
}

static int32_t
always(void *ctx)
{
	(void)ctx;
	return 1;
}

static void
the_record_is_the_callers(void **state)
{
	struct host_call c = {0};

	(void)state;
	host_call_init(&c, 77, 5);
	assert_int_equal(c.pm.deadline_ms, 77);
	assert_int_equal(c.pm.session_id, 5);
	assert_null(c.pm.alloc(&c.pm, 1));
	assert_int_equal(c.pm.cancelled(&c.pm), 0);
	c.alloc = no_memory;
	c.cancelled = always;
	host_call_init(&c, 1, 1);
	assert_null(c.pm.alloc(&c.pm, 1));
	assert_int_equal(c.pm.cancelled(&c.pm), 1);
	for (int i = 0; i < 16; i++)
		assert_int_equal(c.pm.op_id[i], 0);
}

static void
operator_texts_are_cut_and_cleaned(void **state)
{
	(void)state;
	memset(told, 'x', sizeof(told));
	told[3] = '\n';
	told[4] = '\0';
	told[5] = '\x7f';
	told_n = sizeof(told);
	answer = PM_DOWN;
	assert_int_equal(host_probe(&inst, call), PM_DOWN);
	assert_int_equal(strlen(call->error), PM_ERROR_MAX);
	assert_memory_equal(call->error, "xxx???xxx", 9);
}

/* ---- codes ----------------------------------------------------------------------------------- */

static void
unknown_codes_are_temp(void **state)
{
	static const int32_t unknown[] = {3, 4242, -22, INT32_MAX, INT32_MIN};
	struct pm_cred cred;
	struct pm_user user;

	(void)state;
	host_cred_init(&cred);
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		answer = unknown[i];
		assert_int_equal(host_verify(&inst, call, &cred, &user), PM_TEMP);
		assert_non_null(strstr(call->error, "unknown code"));
		assert_string_equal(host_code_name(unknown[i]), "?");
	}
	for (int32_t c = PM_EXISTS; c <= PM_AGAIN; c++) {
		answer = c;
		if (c != PM_END && c != PM_AGAIN)
			assert_int_equal(host_verify(&inst, call, &cred, &user), c);
		assert_string_not_equal(host_code_name(c), "?");
	}
	assert_string_equal(host_code_name(PM_TEMP), "TEMP");
	assert_true(host_backend_failed(PM_DOWN) && host_backend_failed(PM_TIMEOUT));
	assert_false(host_backend_failed(PM_TEMP) || host_backend_failed(PM_OK) ||
		     host_backend_failed(PM_DENIED));
}

static void
again_and_end_only_where_they_belong(void **state)
{
	struct pm_commit commit = {.size = sizeof(commit), .n = 3};
	struct pm_result result = {.size = sizeof(result)};
	struct pm_msg msg;
	struct pm_stat stat;
	struct pm_user user;
	struct pm_cred cred;
	uint64_t n;
	size_t got;
	void *h = NULL;
	char buf[4];

	(void)state;
	host_cred_init(&cred);
	host_user_init(&user);
	for (answer = PM_END; answer <= PM_AGAIN; answer++) {
		bool again = answer == PM_AGAIN;

		assert_int_equal(host_verify(&inst, call, &cred, &user), PM_TEMP);
		assert_int_equal(host_lookup(&inst, call, &cred, &user), PM_TEMP);
		assert_int_equal(host_msg_open(&inst, &n, call, 0, &h), PM_TEMP);
		assert_int_equal(host_probe(&inst, call), PM_TEMP);
		assert_int_equal(host_mbox_info(&inst, &n, call, 0, 1, 0, &msg),
				 again ? PM_AGAIN : PM_TEMP);
		assert_int_equal(host_msg_read(&inst, &n, call, buf, 4, &got),
				 again ? PM_TEMP : PM_END);
		assert_int_equal(host_mbox_commit(&inst, &n, call, &commit, &n),
				 again ? PM_AGAIN : PM_UNKNOWN);
		assert_int_equal(host_box_stat(&inst, call, &user, &stat),
				 again ? PM_AGAIN : PM_TEMP);
		assert_int_equal(host_dlv_prepare(&inst, &n, call, &result),
				 again ? PM_AGAIN : PM_TEMP);
		assert_int_equal(host_dlv_commit(&inst, &n, call, &result),
				 again ? PM_AGAIN : PM_UNKNOWN);
		assert_int_equal(host_dlv_begin(&inst, call, 0, 0, &h), PM_TEMP);
	}
}

/* The flag is of one call. */
static void
a_recount_is_asked_for_once(void **state)
{
	struct pm_user user;
	struct pm_stat stat;

	(void)state;
	host_user_init(&user);
	answer = PM_AGAIN;
	assert_int_equal(host_box_recount(&inst, call, &user, &stat), PM_AGAIN);
	assert_int_equal(stat_flags, PM_CALLF_RECOUNT);
	assert_int_equal(call->pm.flags, 0);
	assert_int_equal(host_box_stat(&inst, call, &user, &stat), PM_AGAIN);
	assert_int_equal(stat_flags, 0);
}

static void
a_missing_method_is_unsupported(void **state)
{
	struct pm_user user;
	struct pm_cred cred;
	struct pm_secret secret = {.size = sizeof(secret)};
	struct pm_stat stat;
	struct pm_str place;
	struct pm_box box;
	uint64_t n;
	size_t got;
	void *h = NULL;

	(void)state;
	host_cred_init(&cred);
	host_user_init(&user);
	assert_int_equal(host_caps(&nothing), 0);
	assert_int_equal(host_verify(&nothing, call, &cred, &user), PM_UNSUPPORTED);
	assert_int_equal(host_lookup(&nothing, call, &cred, &user), PM_UNSUPPORTED);
	assert_int_equal(host_secret(&nothing, call, &cred, &secret, &user), PM_UNSUPPORTED);
	assert_int_equal(host_domain(&inst, call, cred.authcid), PM_UNSUPPORTED);
	assert_int_equal(host_event(&inst, call, &user, PM_EVENT_LOGIN), PM_UNSUPPORTED);
	assert_int_equal(host_mbox_open(&nothing, call, &user, 0, &n, &h), PM_UNSUPPORTED);
	assert_int_equal(host_box_list(&nothing, call, cred.authcid, 1, &box, &got),
			 PM_UNSUPPORTED);
	assert_int_equal(host_box_stat(&nothing, call, &user, &stat), PM_UNSUPPORTED);
	assert_int_equal(host_box_recount(&nothing, call, &user, &stat), PM_UNSUPPORTED);
	assert_int_equal(host_domain_stat(&nothing, call, cred.authcid, true, &stat),
			 PM_UNSUPPORTED);
	/* of an older one */
	assert_int_equal(host_domain_stat(&inst, call, cred.authcid, true, &stat), PM_UNSUPPORTED);
	assert_int_equal(host_box_delete(&inst, call, &user), PM_UNSUPPORTED);
	assert_int_equal(host_box_place(&inst, call, &user, &place), PM_UNSUPPORTED);
	assert_int_equal(host_dlv_begin(&nothing, call, 0, 0, &h), PM_UNSUPPORTED);
	assert_int_equal(host_probe(&nothing, call), PM_OK); /* nothing remote: it is there */
	assert_int_equal(host_tick(&nothing, call), PM_OK);
	assert_int_equal(host_caps(&inst), 6);
	answer = PM_TEMP;
	assert_int_equal(host_caps(&inst), 0);
}

/* ---- results --------------------------------------------------------------------------------- */

static void
users_over_the_limits_are_corrupt(void **state)
{
	static const struct pm_str target = {"x", 1};
	struct pm_user user;
	struct pm_cred cred;

	(void)state;
	host_cred_init(&cred);
	user_to_give.name = (struct pm_str){told, PM_NAME_MAX};
	user_to_give.key = (struct pm_str){told, PM_KEY_MAX};
	assert_int_equal(host_verify(&inst, call, &cred, &user), PM_OK);
	user_to_give.name.n++;
	assert_int_equal(host_verify(&inst, call, &cred, &user), PM_CORRUPT);
	user_to_give.name.n = 0;
	user_to_give.key.n++;
	assert_int_equal(host_lookup(&inst, call, &cred, &user), PM_CORRUPT);
	user_to_give.key.n = 0;
	user_to_give.n_attr = 1; /* and no list */
	assert_int_equal(host_verify(&inst, call, &cred, &user), PM_CORRUPT);
	user_to_give.n_attr = 0;
	user_to_give.n_targets = 5000;
	user_to_give.targets = &target;
	assert_int_equal(host_verify(&inst, call, &cred, &user), PM_CORRUPT);
}

static void
secrets_are_of_the_kind_asked_for(void **state)
{
	struct pm_secret secret = {.size = sizeof(secret), .kinds = PM_SECRET_PLAIN};
	struct pm_user user;
	struct pm_cred cred;

	(void)state;
	host_cred_init(&cred);
	assert_int_equal(host_secret(&inst, call, &cred, &secret, &user), PM_OK);
	secret.kinds = PM_SECRET_PLAIN;
	kinds_to_give = PM_SECRET_SCRAM_SHA256;
	assert_int_equal(host_secret(&inst, call, &cred, &secret, &user), PM_CORRUPT);
}

static void
unique_ids_and_sizes_are_looked_at(void **state)
{
	static const struct {
		const char *uidl;
		uint32_t n;
		int32_t rc;
	} cases[] = {
		{"a", 1, PM_OK},
		{"", 0, PM_CORRUPT},
		{"a b", 3, PM_CORRUPT},
		{"a\x7f", 2, PM_CORRUPT},
		{"a\xc3", 2, PM_CORRUPT},
		{"a\n", 2, PM_CORRUPT},
		{"!~", 2, PM_OK},
		{"1234567890123456789012345678901234567890123456789012345678901234567890", 70,
		 PM_OK},
		{"12345678901234567890123456789012345678901234567890123456789012345678901", 71,
		 PM_CORRUPT},
		{"a", UINT32_MAX, PM_CORRUPT},
	};
	struct pm_msg msg[2];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		memset(msg_to_give.uidl, 0, sizeof(msg_to_give.uidl));
		memcpy(msg_to_give.uidl, cases[i].uidl, strlen(cases[i].uidl));
		msg_to_give.uidl_len = cases[i].n;
		assert_int_equal(host_mbox_info(&inst, &rc, call, 0, 2, PM_WANT_UIDL, msg),
				 cases[i].rc);
		assert_int_equal(host_mbox_info(&inst, &rc, call, 0, 2, PM_WANT_OCTETS, msg),
				 PM_OK);
	}
	msg_to_give.octets = UINT64_MAX - 3; /* a lie that wrapped */
	assert_int_equal(host_mbox_info(&inst, &rc, call, 0, 2, PM_WANT_OCTETS, msg), PM_CORRUPT);
	msg_to_give.meta_len = 65;
	assert_int_equal(host_mbox_info(&inst, &rc, call, 0, 2, PM_WANT_META, msg), PM_CORRUPT);
	assert_int_equal(host_mbox_info(&inst, &rc, call, 0, 0, PM_WANT_META, msg), PM_OK);
}

static void
handles_and_amounts_are_looked_at(void **state)
{
	struct pm_commit commit = {.size = sizeof(commit), .n = 3};
	struct pm_user user;
	struct pm_box box[1];
	uint64_t n;
	size_t got;
	void *h = NULL;
	char buf[4];

	(void)state;
	host_user_init(&user);
	assert_int_equal(host_mbox_open(&inst, call, &user, 0, &n, &h), PM_OK);
	assert_ptr_equal(h, handle);
	answer = PM_TEMP; /* ends a handle in the making */
	assert_int_equal(host_mbox_open(&inst, call, &user, 0, &n, &h), PM_TEMP);
	assert_null(h);
	answer = PM_OK;
	handle = NULL;
	assert_int_equal(host_mbox_open(&inst, call, &user, 0, &n, &h), PM_CORRUPT);
	assert_int_equal(host_msg_open(&inst, &n, call, 0, &h), PM_CORRUPT);
	assert_int_equal(host_dlv_begin(&inst, call, 0, 0, &h), PM_CORRUPT);
	got_to_give = 0;
	assert_int_equal(host_msg_read(&inst, &n, call, buf, 4, &got), PM_CORRUPT);
	got_to_give = 5;
	assert_int_equal(host_msg_read(&inst, &n, call, buf, 4, &got), PM_CORRUPT);
	got_to_give = 4;
	assert_int_equal(host_msg_read(&inst, &n, call, buf, 4, &got), PM_OK);
	done_to_give = 9;
	assert_int_equal(host_mbox_commit(&inst, &h, call, &commit, &n), PM_OK);
	assert_int_equal(n, 3);
	done_to_give = 0;
	got_to_give = 2;
	assert_int_equal(host_box_list(&inst, call, user.name, 1, box, &got), PM_CORRUPT);
	got_to_give = 1;
	assert_int_equal(host_box_list(&inst, call, user.name, 1, box, &got), PM_OK);
	done_to_give = PM_KEY_MAX + 1;
	assert_int_equal(host_box_list(&inst, call, user.name, 1, box, &got), PM_CORRUPT);
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *
worker(void *arg)
{
	static struct host_inst outer = {.desc = &bare, .inner = &inst};
	struct rig_call r;
	struct host_call *c = rig_call(&r);

	(void)arg;
	for (int i = 0; i < 3; i++)
		(void)host_probe(&outer, c); /* a wrapper: its inner module is met too */
	(void)host_probe(&inst, c);
	host_thread_exit();
	host_thread_exit(); /* nobody left */
	return NULL;
}

static void
each_thread_is_introduced_once(void **state)
{
	pthread_t t;

	(void)state;
	for (int i = 1; i <= 3; i++) {
		begun = ended = 0;
		assert_int_equal(pthread_create(&t, NULL, worker, NULL), 0);
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(begun, 1);
		assert_int_equal(ended, 1);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, tidy)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_record_is_the_callers),
		TEST(operator_texts_are_cut_and_cleaned),
		TEST(unknown_codes_are_temp),
		TEST(again_and_end_only_where_they_belong),
		TEST(a_recount_is_asked_for_once),
		TEST(a_missing_method_is_unsupported),
		TEST(users_over_the_limits_are_corrupt),
		TEST(secrets_are_of_the_kind_asked_for),
		TEST(unique_ids_and_sizes_are_looked_at),
		TEST(handles_and_amounts_are_looked_at),
		TEST(each_thread_is_introduced_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
