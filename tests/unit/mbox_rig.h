/* SPDX-License-Identifier: Apache-2.0 */
/* mbox_rig - a file of mail for ann, and the module's state, which each test has to itself. */
#ifndef TESTS_UNIT_MBOX_RIG_H
#define TESTS_UNIT_MBOX_RIG_H

#include "maildir_rig.h"

#include <ftw.h>
#include <stdio.h>

static inline int
mbox_begin(void **state)
{
	static const char *const modules[] = {"mbox", NULL};

	(void)state;
	(void)rig_begin(modules);
	return 0;
}

static inline int
mbox_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline int
mbox_clean(void **state)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/mbox", rig_dir());
	(void)nftw(path, mbox_remove, 16, FTW_DEPTH | FTW_PHYS);
	return mail_tidy(state);
}

/* ann's mailbox is the file ann. */
static inline struct host_inst *
mbox_open(void)
{
	struct host_inst *i = clocked_open("mbox", "path", mail_path("%u"), NULL);

	if (!i)
		fail_msg("%s", rig_errors);
	return i;
}

#endif
