/* SPDX-License-Identifier: Apache-2.0 */
/* storage/mbox - options, the state directory and the descriptor. */
#include "mbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "append.h"
#include "box.h"
#include "commit.h"
#include "conf.h"
#include "deliver.h"
#include "list.h"
#include "message.h"
#include "origin.h"
#include "path.h"
#include "path_list.h"
#include "recover.h"
#include "say.h"
#include "totals.h"

/* ---- options --------------------------------------------------------------------------------- */

/* Reads "dotlock fcntl": in this order, each at most once. */
static bool
read_order(struct pm_str text, struct inst *i)
{
	static const char *const words[MTA_LOCKS] = {"dotlock", "fcntl", "flock"};
	size_t at = 0;

	i->n_order = 0;
	while (at < text.n) {
		size_t n = 0, k = 0;

		while (at + n < text.n && text.p[at + n] != ' ' && text.p[at + n] != ',')
			n++;
		while (n > 0 && k < MTA_LOCKS &&
		       !(strlen(words[k]) == n && memcmp(words[k], text.p + at, n) == 0))
			k++;
		if (n > 0 && (k == MTA_LOCKS || i->n_order == MTA_LOCKS))
			return false;
		for (unsigned have = 0; n > 0 && have < i->n_order; have++)
			if (i->order[have] == (enum mta_lock)k)
				return false;
		if (n > 0)
			i->order[i->n_order++] = (enum mta_lock)k;
		at += n + 1;
	}
	return i->n_order > 0;
}

static int32_t
mbox_check(const struct pm_open *open)
{
	int32_t rc = sdk_path_check(open, "path");
	struct inst i;

	if (!read_order(sdk_opt_str(open, "locks"), &i)) {
		sdk_report(open, "locks",
			   "expected one or more of dotlock, fcntl and flock, in the order of the "
			   "site's MTA");
		rc = PM_INVALID;
	}
	return rc;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void
close_inst(void *inst)
{
	struct inst *i = inst;
	const int fds[] = {i->state,     i->lock_dir,    i->ledger_dir,
			   i->index_dir, i->journal_dir, i->incoming_dir};

	for (size_t k = 0; k < sizeof(fds) / sizeof(fds[0]); k++)
		if (fds[k] != -1)
			(void)close(fds[k]);
	sdk_totals_free(i->totals);
	sdk_lists_free(i->lists);
	free(i->section);
	free(i->pattern);
	free(i->prefix);
	free(i->state_path);
	free(i);
}

static int
mbox_open_dir(int at, const char *name)
{
	if (mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return -1;
	return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static bool
open_state(struct inst *i)
{
	int base = openat(AT_FDCWD, i->state_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (base == -1)
		return false;
	i->state = mbox_open_dir(base, "mbox");
	(void)close(base);
	if (i->state == -1)
		return false;
	i->lock_dir = mbox_open_dir(i->state, "lock");
	i->ledger_dir = mbox_open_dir(i->state, "ledger");
	i->index_dir = mbox_open_dir(i->state, "index");
	i->journal_dir = mbox_open_dir(i->state, "journal");
	i->incoming_dir = mbox_open_dir(i->state, "incoming");
	return i->lock_dir != -1 && i->ledger_dir != -1 && i->index_dir != -1 &&
	       i->journal_dir != -1 && i->incoming_dir != -1;
}

static int32_t
open_inst(const struct pm_open *open, void **ret_inst)
{
	static const char *const counters[] = {"conflicts",           "deletions_finished",
					       "deliveries_finished", "dotlocks_broken",
					       "incoming_swept",      "index_wrong",
					       "ledger_damaged",      "locks_in_vain",
					       "turns_in_vain",       NULL};
	struct inst *i = calloc(1, sizeof(*i));

	if (!i)
		return PM_NOMEM;
	i->state = i->lock_dir = i->ledger_dir = i->index_dir = i->journal_dir = i->incoming_dir =
		-1;
	i->host = open->host;
	sdk_counters(i->host, counters);
	i->totals = sdk_totals_new(i->host, list_count_free);
	i->lists = sdk_lists_new(i->host, SDK_LIST_WINDOW);
	if (i->totals)
		sdk_totals_bound(i->totals,
				 (size_t)sdk_opt_num(open, "cache_totals", SDK_TOTALS_MOST));
	i->section = sdk_strdup(open->section);
	i->pattern = sdk_strdup(sdk_opt_str(open, "path"));
	i->prefix = i->pattern ? sdk_path_prefix(i->pattern) : NULL;
	i->state_path = sdk_strdup(open->state_dir);
	i->lock_wait_ms = sdk_opt_num(open, "lock_wait", 2000);
	i->rd = sdk_opt_num(open, "format", 0) == 0;
	i->fsync = sdk_opt_num(open, "fsync", 1) != 0;
	i->wait_most = open->permits > 3 ? open->permits / 2 : 1;
	if (gethostname(i->hostname, sizeof(i->hostname) - 1) != 0)
		snprintf(i->hostname, sizeof(i->hostname), "localhost");
	(void)read_order(sdk_opt_str(open, "locks"), i); /* check() accepted it */
	if (!i->section || !i->pattern || !i->prefix || !i->state_path || !i->totals || !i->lists) {
		close_inst(i);
		return PM_NOMEM;
	}
	if (!open_state(i)) {
		sdk_report(open, "", "cannot make mbox/ in the state directory '%.*s': %s",
			   (int)open->state_dir.n, open->state_dir.p, strerrordesc_np(errno));
		close_inst(i);
		return PM_PERM;
	}
	if (open->purpose == PM_PURPOSE_SERVER)
		origin_look(i);
	*ret_inst = i;
	return PM_OK;
}

static int32_t
mbox_probe(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;
	struct stat st;

	if (stat(i->prefix, &st) == 0)
		return PM_OK;
	sdk_error(call, "'%s': %s", i->prefix, strerrordesc_np(errno));
	return PM_DOWN;
}

/* Repairs mailboxes that a crash left half rewritten, before their owners come. */
static int32_t
mbox_tick(void *inst, const struct pm_call *call)
{
	recover_sweep(inst, call);
	append_sweep(inst);
	sdk_totals_tidy(((struct inst *)inst)->totals);
	return PM_OK;
}

static const struct pm_option options[] = {
	SDK_OPT("path", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
		"the mailbox of a user, e.g. /var/mail/%n: %u name, %n local part, %d domain, %k "
		"mailbox key, %h home (first)"),
	SDK_OPT("format", PM_OPT_CHOICE, 0, "mboxrd|mboxo", "mboxrd",
		"how lines that look like From_ lines are quoted"),
	SDK_OPT("locks", PM_OPT_STRING, 0, "", "dotlock fcntl",
		"the MTA's locks, in its order: dotlock, fcntl, flock"),
	SDK_OPT("lock_wait", PM_OPT_NUMBER, 0, "ms", "2s", "longest wait for the MTA's locks"),
	SDK_OPT("fsync", PM_OPT_BOOL, 0, "", "yes",
		"no: a power cut may undo deletions and lose mail"),
	SDK_OPT("cache_totals", PM_OPT_NUMBER, 0, "", "16384",
		"mailboxes whose totals are remembered in memory, for quotas; the least recently "
		"used ones are forgotten, and counted anew"),
};

static const struct pm_storage storage = {
	.size = sizeof(storage),
	.mbox_open = box_open,
	.mbox_info = box_info,
	.msg_open = message_open,
	.msg_read = message_read,
	.msg_close = message_close,
	.mbox_commit = commit_run,
	.mbox_close = box_close,
	.box_list = list_boxes,
	.box_stat = list_stat,
	.box_delete = list_delete,
	.box_place = list_place,
};

static const struct pm_delivery delivery = {
	.size = sizeof(delivery),
	.dlv_begin = deliver_begin,
	.dlv_rcpt = deliver_rcpt,
	.dlv_write = deliver_write,
	.dlv_prepare = deliver_prepare,
	.dlv_commit = deliver_commit,
	.dlv_abort = deliver_abort,
};

static const struct pm_life life = {
	.size = sizeof(life),
	.tick_ms = 60000,
	.check = mbox_check,
	.open = open_inst,
	.close = close_inst,
	.probe = mbox_probe,
	.tick = mbox_tick,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK | PM_F_CAN_MARK | PM_F_CAN_HIDE | PM_F_CAN_IMPORT |
		 PM_F_CAN_UTF8,
	.name = SDK_STR("mbox"),
	.version = SDK_STR("1.0"),
	.licence = SDK_STR("Apache-2.0"),
	.options = options,
	.n_options = sizeof(options) / sizeof(options[0]),
	.option_stride = sizeof(options[0]),
	.life = &life,
	.storage = &storage,
	.delivery = &delivery,
};

PM_EXPORT const struct pm_module *
pm_module_v1(uint32_t host_minor, uint32_t index)
{
	(void)host_minor;
	return index == 0 ? &module : NULL;
}
