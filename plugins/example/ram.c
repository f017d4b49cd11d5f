/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ram - accounts and mail in memory: the example module. Nothing survives the process; everything
 * else is done as a real store must do it, so it serves as a lesson, as a test bench and as the
 * first thing the conformance kit is run against. Read the files in this order:
 *
 *   ram.h      an instance, its mailboxes, their messages
 *   ram.c      how a module introduces itself, reads its settings, checks a password
 *   box.c      mailboxes; seed.c fills them for tests
 *   store.c    a session: lock, snapshot, reading, commit
 *   deliver.c  a delivery: several recipients, prepare, commit
 *
 * THE THREE IDEAS
 *
 *  1. One mutex per instance guards all mailboxes and is never held while anything could block.
 *     A store that waits for a disk or a network inside its lock stops all its users at once.
 *  2. A message never changes once it is in a mailbox, and is counted. So a snapshot is an array
 *     of references, reading needs no lock, and a session still has what another one deleted.
 *  3. Steps that can fail come before those that cannot. A commit only sets flags and moves
 *     pointers: it happens as a whole or not at all. A delivery gets its memory in prepare.
 *
 * SETTINGS
 *
 *   user = NAME:PASSWORD   an account; may be given several times
 *   messages = N           a new mailbox begins with N made-up messages
 *   load = DIR             each file DIR/KEY/FILE is a message of mailbox KEY, byte for byte
 *   max_message = N        a longer one is refused
 */
#include "ram.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "box.h"
#include "conf.h"
#include "deliver.h"
#include "say.h"
#include "seed.h"
#include "store.h"

#define SEED_MAX 1000000

/* ---- accounts -------------------------------------------------------------------------------- */

static const struct ram_account *
ram_find_account(const struct ram *ram, struct pm_str name)
{
	for (size_t i = 0; i < ram->n_accounts; i++)
		if (sdk_str_is(name, ram->accounts[i].name))
			return &ram->accounts[i];
	return NULL;
}

/* Takes a time that depends on the given one only: nobody learns how long the right one is. */
static bool
same_secret(struct pm_str given, const char *right)
{
	size_t n = strlen(right);
	unsigned char differ = given.n != n;

	for (size_t i = 0; i < given.n; i++)
		differ |= (unsigned char)(given.p[i] ^ right[n > 0 ? i % n : 0]);
	return !differ;
}

/* Tells the host of an account: strings in the call's memory, because they outlive the call (R4).
 * Nothing is written until everything is there: out parameters stay as they are unless the answer
 * is PM_OK. */
static int32_t
ram_fill_user(const struct pm_call *call, const struct ram_account *a, struct pm_user *ret)
{
	struct pm_str name = sdk_call_dup(call, a->name, strlen(a->name));

	if (!name.p)
		return PM_NOMEM;
	ret->name = name; /* key: empty, so the name */
	return PM_OK;
}

static int32_t
ram_verify(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	   struct pm_user *ret_user)
{
	const struct ram *ram = inst;
	const struct ram_account *a;
	bool right;

	if (cred->kind != PM_CRED_PASSWORD)
		return PM_UNSUPPORTED;
	if (cred->secret.n == 0)
		return PM_DENIED;
	a = ram_find_account(ram, cred->authcid);
	right = same_secret(cred->secret,
			    a ? a->password : "nobody"); /* as much work for an unknown name */
	if (!a)
		return PM_NEXT;
	return right ? ram_fill_user(call, a, ret_user) : PM_DENIED;
}

static int32_t
ram_lookup(void *inst, const struct pm_call *call, const struct pm_cred *cred,
	   struct pm_user *ret_user)
{
	const struct ram_account *a = ram_find_account(inst, cred->authcid);

	return a ? ram_fill_user(call, a, ret_user) : PM_NOENT;
}

static int32_t
ram_caps(void *inst, uint64_t *ret_kinds)
{
	(void)inst;
	*ret_kinds = 1u << PM_CRED_PASSWORD;
	return PM_OK;
}

/* ---- settings -------------------------------------------------------------------------------- */

/* "NAME:PASSWORD" taken apart; false: it is not that. */
static bool
split_user(struct pm_str text, size_t *ret_name)
{
	const char *colon = text.n > 0 ? memchr(text.p, ':', text.n) : NULL;

	if (!colon || colon == text.p || colon + 1 == text.p + text.n)
		return false;
	*ret_name = (size_t)(colon - text.p);
	return *ret_name <= PM_NAME_MAX;
}

static bool
is_given_before(const struct pm_open *open, uint32_t upto, struct pm_str name)
{
	for (uint32_t i = 0; i < upto; i++) {
		struct pm_str other = sdk_opt(open, "user", i)->str;
		size_t n;

		if (split_user(other, &n) && n == name.n && memcmp(other.p, name.p, n) == 0)
			return true;
	}
	return false;
}

/* All errors, not the first only; and no side effect. Types were checked by the host already. */
static int32_t
ram_check(const struct pm_open *open)
{
	const struct pm_value *v;
	int32_t rc = PM_OK;

	if (sdk_opt_num(open, "messages", 0) > SEED_MAX) {
		sdk_report(open, "messages", "at most %d", SEED_MAX);
		rc = PM_INVALID;
	}

	for (uint32_t i = 0; (v = sdk_opt(open, "user", i)) != NULL; i++) {
		struct pm_str name = v->str;

		if (!split_user(v->str, &name.n)) {
			/* not the text itself: it may hold a password */
			sdk_report(open, "user", "number %u is not NAME:PASSWORD", i + 1);
			rc = PM_INVALID;
		} else if (is_given_before(open, i, name)) {
			sdk_report(open, "user", "'%.*s' is given twice", (int)name.n, name.p);
			rc = PM_INVALID;
		}
	}
	return rc;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
ram_close(void *inst)
{
	struct ram *ram = inst;

	for (size_t i = 0; i < ram->n_accounts; i++) {
		free(ram->accounts[i].name);
		if (ram->accounts[i].password)
			explicit_bzero(ram->accounts[i].password,
				       strlen(ram->accounts[i].password));
		free(ram->accounts[i].password);
	}
	free(ram->accounts);
	ram_boxes_free(ram);
	pthread_mutex_destroy(&ram->mutex);
	free(ram);
}

static bool
read_accounts(struct ram *ram, const struct pm_open *open)
{
	uint32_t n = 0;

	while (sdk_opt(open, "user", n))
		n++;
	ram->accounts = calloc(n > 0 ? n : 1, sizeof(*ram->accounts));
	if (!ram->accounts)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct pm_str v = sdk_opt(open, "user", i)->str;
		struct ram_account *a = &ram->accounts[ram->n_accounts++];
		size_t name = 0;

		if (!split_user(v, &name))
			return false; /* check() has refused it */
		a->name = sdk_strdup((struct pm_str){v.p, name});
		a->password = sdk_strdup((struct pm_str){v.p + name + 1, v.n - name - 1});
		if (!a->name || !a->password)
			return false;
	}
	return true;
}

static bool
read_load(struct ram *ram, const struct pm_open *open)
{
	struct pm_str given = sdk_opt_str(open, "load");
	char err[512], *dir;
	bool ok;

	if (given.n == 0)
		return true;
	dir = sdk_strdup(given);
	if (!dir)
		return false;
	ok = ram_seed_load(ram, dir, err, sizeof(err));
	if (!ok)
		sdk_report(open, "load", "%s", err);
	free(dir);
	return ok;
}

static int32_t
ram_open(const struct pm_open *open, void **ret_inst)
{
	struct ram *ram = calloc(1, sizeof(*ram));
	uint64_t random;

	if (!ram)
		return PM_NOMEM;
	pthread_mutex_init(&ram->mutex, NULL);
	ram->host = open->host;
	ram->seed = (uint64_t)sdk_opt_num(open, "messages", 0);
	ram->max_bytes = (uint64_t)sdk_opt_num(open, "max_message", 64 << 20);
	/* an instance opened later must never hand out a unique-id of this one again (RFC 1939 s7)
	 */
	if (getrandom(&random, sizeof(random), 0) != sizeof(random) || !read_accounts(ram, open) ||
	    !read_load(ram, open)) {
		ram_close(ram);
		return PM_TEMP;
	}
	snprintf(ram->tag, sizeof(ram->tag), "%016llx", (unsigned long long)random);
	*ret_inst = ram;
	return PM_OK;
}

/* There is nothing to make. */
static int32_t
ram_setup(void *inst, const struct pm_call *call, struct pm_str what)
{
	(void)inst;
	if (what.n == 0)
		return PM_OK;
	sdk_error(call, "'%.*s' is not known here", (int)(what.n % 100), what.p);
	return PM_UNSUPPORTED;
}

/* ---- the descriptor -------------------------------------------------------------------------- */

static const struct pm_option options[] = {
	SDK_OPT("user", PM_OPT_STRING, PM_OPTF_LIST | PM_OPTF_SECRET, "", "",
		"an account, NAME:PASSWORD"),
	SDK_OPT("messages", PM_OPT_NUMBER, 0, "", "0",
		"made-up messages a new mailbox begins with"),
	SDK_OPT("load", PM_OPT_PATH, 0, "", "",
		"directory: each file below KEY/ is a message of mailbox KEY"),
	SDK_OPT("max_message", PM_OPT_NUMBER, 0, "bytes", "64m", "longest message that is taken"),
};

static const struct pm_life life = {
	.size = sizeof(life),
	.check = ram_check,
	.open = ram_open,
	.close = ram_close,
	.setup = ram_setup,
};

static const struct pm_auth auth = {
	.size = sizeof(auth),
	.caps = ram_caps,
	.verify = ram_verify,
	.lookup = ram_lookup,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_CAN_MARK | PM_F_CAN_HIDE | PM_F_CAN_IMPORT | PM_F_CAN_UTF8,
	.name = SDK_STR("ram"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.option_stride = sizeof(options[0]),
	.life = &life,
	.auth = &auth,
	.storage = &ram_storage,
	.delivery = &ram_delivery,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
