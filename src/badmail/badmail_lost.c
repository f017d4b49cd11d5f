/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_lost.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "badmail/badmail_place.h"
#include "base/log.h"

/* A directory that cannot be counted takes nothing more. */
static void
lost_begin(struct badmail_lost *l)
{
	char path[BADMAIL_PATH_MAX];
	const struct dirent *e;
	DIR *d;

	l->begun = true;
	snprintf(path, sizeof(path), "%s/lost", l->conf->path);
	d = mkdir(path, 0700) == 0 || errno == EEXIST ? opendir(path) : NULL;
	l->there = d ? 0 : BADMAIL_LOST_MAX;
	while (d && (e = readdir(d)) != NULL)
		l->there += e->d_name[0] != '.';
	if (d)
		closedir(d);
}

void
badmail_lost_keep(struct badmail_lost *l, enum badmail_class cls, int dirfd, const char *name)
{
	char to[BADMAIL_PATH_MAX + 64];

	if (!l->begun)
		lost_begin(l);
	snprintf(to, sizeof(to), "%s/lost/%s-%.40s", l->conf->path, badmail_id_class(cls), name);
	/* a name that is taken stays as it is: numbers may have begun anew */
	if (l->there < BADMAIL_LOST_MAX && linkat(dirfd, name, AT_FDCWD, to, 0) == 0 &&
	    unlinkat(dirfd, name, 0) == 0) {
		l->there++;
		l->moved++;
	} else {
		l->left++;
	}
}

void
badmail_lost_tell(const struct badmail_lost *l)
{
	if (l->moved + l->left == 0)
		return;
	log_msg(LOG_LVL_WARNING, "badmail",
		"%u halves of items (a message without its sidecar, or the reverse) were moved to "
		"%s/lost, and %u could not be moved there and stay; look at them, and remove them",
		l->moved, l->conf->path, l->left);
}
