/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/maildir - options, life and the descriptor. sdk/path.h makes paths of names.
 */
#include "maildir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "box.h"
#include "cache.h"
#include "commit.h"
#include "conf.h"
#include "deliver.h"
#include "list.h"
#include "message.h"
#include "path.h"
#include "path_list.h"
#include "say.h"
#include "totals.h"

/* ---- life ------------------------------------------------------------------------------------ */

static int32_t
maildir_check(const struct pm_open *open)
{
	return sdk_path_check(open, "path");
}

static void
maildir_close(void *inst)
{
	struct inst *i = inst;

	cache_free(i->cache);
	sdk_totals_free(i->totals);
	sdk_lists_free(i->lists);
	free(i->section);
	free(i->pattern);
	free(i->prefix);
	free(i);
}

static int32_t
maildir_open(const struct pm_open *open, void **ret_inst)
{
	static const char *const counters[] = {"commits_finished", "commits_stuck",
					       "ledger_damaged", NULL};
	struct inst *i = calloc(1, sizeof(*i));

	if (!i)
		return PM_NOMEM;
	i->host = open->host;
	sdk_counters(i->host, counters);
	i->section = sdk_strdup(open->section);
	i->pattern = sdk_strdup(sdk_opt_str(open, "path"));
	i->prefix = i->pattern ? sdk_path_prefix(i->pattern) : NULL;
	i->mark_seen = sdk_opt_num(open, "mark_seen", 1) != 0;
	i->fsync = sdk_opt_num(open, "fsync", 1) != 0;
	i->lock_file = sdk_opt_num(open, "lock", 0) != 0;
	i->crlf = sdk_opt_num(open, "line_end", 0) != 0;
	i->cache_messages = (uint64_t)sdk_opt_num(open, "cache_messages", 1000000);
	i->cache = cache_new(i->cache_messages);
	i->totals = sdk_totals_new(i->host, list_count_free);
	i->lists = sdk_lists_new(i->host, SDK_LIST_WINDOW);
	if (i->totals)
		sdk_totals_bound(i->totals,
				 (size_t)sdk_opt_num(open, "cache_totals", SDK_TOTALS_MOST));
	if (gethostname(i->hostname, sizeof(i->hostname) - 1) != 0)
		snprintf(i->hostname, sizeof(i->hostname), "localhost");
	for (char *p = i->hostname; *p; p++)
		if (*p == '/' || *p == ':' || *p == ',' || (unsigned char)*p <= 0x20)
			*p = '_'; /* as qmail does in names of files */
	if (!i->section || !i->pattern || !i->prefix || !i->cache || !i->totals || !i->lists) {
		maildir_close(i);
		return PM_NOMEM;
	}
	*ret_inst = i;
	return PM_OK;
}

static int32_t
maildir_probe(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;
	struct stat st;

	if (stat(i->prefix, &st) == 0)
		return PM_OK;
	sdk_error(call, "'%s': %s", i->prefix, strerrordesc_np(errno));
	return PM_DOWN;
}

/* Drops counts of large mailboxes that nobody waits for any more. */
static int32_t
maildir_tick(void *inst, const struct pm_call *call)
{
	struct inst *i = inst;

	(void)call;
	sdk_totals_tidy(i->totals);
	return PM_OK;
}

/* ---- the descriptor -------------------------------------------------------------------------- */

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

static const struct pm_option options[] = {
	SDK_OPT("path", PM_OPT_STRING, PM_OPTF_REQUIRED, "", "",
		"the maildir of a user: %u name, %n local part, %d domain, %k mailbox key, %h home "
		"(first)"),
	SDK_OPT("mark_seen", PM_OPT_BOOL, 0, "", "yes",
		"retrieved messages that stay go from new to cur, seen"),
	SDK_OPT("fsync", PM_OPT_BOOL, 0, "", "yes",
		"no: a power cut may undo deletions and lose mail"),
	SDK_OPT("lock", PM_OPT_CHOICE, 0, "directory|file", "directory",
		"file: a session also locks a file, which NFS and others carry to other hosts"),
	SDK_OPT("line_end", PM_OPT_CHOICE, 0, "lf|crlf", "lf", "how delivered mail is stored"),
	SDK_OPT("cache_messages", PM_OPT_NUMBER, 0, "", "1000000",
		"messages of unchanged mailboxes remembered in memory"),
	SDK_OPT("cache_totals", PM_OPT_NUMBER, 0, "", "16384",
		"mailboxes whose totals are remembered in memory, for quotas; the least recently "
		"used ones are forgotten, and counted anew"),
};

static const struct pm_life life = {
	.size = sizeof(life),
	.tick_ms = 60000,
	.check = maildir_check,
	.open = maildir_open,
	.close = maildir_close,
	.probe = maildir_probe,
	.tick = maildir_tick,
};

static const struct pm_module module = {
	.size = sizeof(module),
	.abi_major = PM_ABI_MAJOR,
	.abi_minor = PM_ABI_MINOR,
	.flags = PM_F_DRAFT | PM_F_MAY_BLOCK | PM_F_CAN_MARK | PM_F_CAN_HIDE | PM_F_CAN_IMPORT |
		 PM_F_CAN_UTF8,
	.name = SDK_STR("maildir"),
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
