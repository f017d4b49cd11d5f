/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of a listening unix socket. Its directory usually belongs to the service user, and root
 * makes the socket: so every step that goes by the name has the rights of the account that may
 * change what the name means (base/way.h). The file has its permissions from the moment it is made;
 * its owner is changed by a descriptor that has been examined, before the socket listens.
 */
#include "net/sockfile.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/privs.h"
#include "base/way.h"

struct place {
	const char *path;
	struct sockaddr_un sa;
	mode_t mode;
	uid_t maker; /* makes it, and may change what the path means */
	uid_t uid;   /* the owner it is to have */
	gid_t gid;   /* -1: leave it as it is made, unless that is root's; then this: */
	gid_t service_gid;
};

/* ---- whose ----------------------------------------------------------------------------------- */

/* -1: there is no such account, or it cannot be looked up. */
static uid_t
uid_of(const char *name)
{
	struct passwd pw, *found = NULL;
	char buf[4096];

	return getpwnam_r(name, &pw, buf, sizeof(buf), &found) == 0 && found ? pw.pw_uid
									     : (uid_t)-1;
}

static gid_t
gid_of(const char *name)
{
	struct group gr, *found = NULL;
	char buf[8192];

	return getgrnam_r(name, &gr, buf, sizeof(buf), &found) == 0 && found ? gr.gr_gid
									     : (gid_t)-1;
}

/* Finds the accounts that may change the way to it: the service user, and the owner it is to
 * have. */
static bool
find_owners(const struct sockfile *f, struct place *p, uid_t may[2], char *err, size_t errlen)
{
	p->uid = geteuid();
	p->gid = p->service_gid = (gid_t)-1;
	if (f->user && !privs_find(f->user, &p->uid, &p->service_gid, err, errlen))
		return false;
	may[0] = p->uid;
	if (f->owner)
		p->uid = uid_of(f->owner);
	may[1] = p->uid;
	if (f->group)
		p->gid = gid_of(f->group);
	if (f->owner && p->uid == (uid_t)-1) {
		snprintf(err, errlen, "owner = %s: there is no such user", f->owner);
		return false;
	}
	if (f->group && p->gid == (gid_t)-1) {
		snprintf(err, errlen, "group = %s: there is no such group", f->group);
		return false;
	}
	return true;
}

static bool
sockfile_find_place(const struct sockfile *f, struct place *p, char *err, size_t errlen)
{
	char dir[sizeof(p->sa.sun_path)], why[1024];
	struct way w;
	uid_t may[2];
	char *slash;

	*p = (struct place){.path = f->path, .sa = {.sun_family = AF_UNIX}, .mode = f->mode};
	if (snprintf(p->sa.sun_path, sizeof(p->sa.sun_path), "%s", f->path) >=
	    (int)sizeof(p->sa.sun_path)) {
		snprintf(err, errlen, "%s is too long for a socket's path", f->path);
		return false;
	}
	memcpy(dir, p->sa.sun_path, sizeof(dir));
	slash = strrchr(dir, '/');
	if (slash)
		slash[slash == dir] = '\0';
	if (!find_owners(f, p, may, err, errlen))
		return false;
	if (!way_follow(slash ? dir : ".", WAY_DIR, may, 2, &w, why, sizeof(why))) {
		snprintf(err, errlen, "the directory of %s: %s", f->path, why);
		return false;
	}
	p->maker = w.uid;
	return true;
}

/* ---- what is there --------------------------------------------------------------------------- */

/* Does somebody answer there? We ask with its owner's rights, if that is an account we know;
 * without access we cannot tell, and assume it. */
static bool
is_answered(const struct place *p, uid_t owner)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char why[200];
	bool yes = false;

	if (fd != -1 && privs_as(owner == p->uid ? owner : p->maker, why, sizeof(why))) {
		yes = connect(fd, (const struct sockaddr *)&p->sa, sizeof(p->sa)) == 0 ||
		      errno == EAGAIN || (errno == EACCES && owner != geteuid());
		privs_back();
	}
	if (fd != -1)
		(void)close(fd); /* nothing was said */
	return yes;
}

/* Removes the socket of a server that is gone. */
static bool
sockfile_clear(const struct place *p, char *err, size_t errlen)
{
	struct stat st;
	bool there;

	if (!privs_as(p->maker, err, errlen))
		return false;
	there = lstat(p->path, &st) == 0;
	privs_back();
	if (!there)
		return true;
	if (!S_ISSOCK(st.st_mode) || is_answered(p, st.st_uid)) {
		snprintf(err, errlen, "%s: %s", p->path,
			 S_ISSOCK(st.st_mode) ? "another program listens there"
					      : "it is there and is not a socket");
		return false;
	}
	if (!privs_as(p->maker, err, errlen))
		return false;
	(void)unlink(p->path); /* bind reports it if it is still there */
	privs_back();
	return true;
}

/* ---- making it ------------------------------------------------------------------------------- */

/* As its maker. *ret_file: the file that the name meant afterwards. */
static bool
sockfile_make(const struct place *p, int fd, int *ret_file)
{
	mode_t old = umask(0777 & ~p->mode); /* there is only the main thread so far */
	bool ok = bind(fd, (const struct sockaddr *)&p->sa, sizeof(p->sa)) == 0;
	int e = errno;

	umask(old);
	*ret_file = ok ? open(p->path, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
	if (!ok)
		errno = e;
	return ok && *ret_file != -1;
}

/* Is this the file that was made, and not one that somebody has put in its place? */
static bool
is_ours(const struct place *p, const struct stat *st)
{
	return S_ISSOCK(st->st_mode) && st->st_nlink == 1 &&
	       st->st_uid == (geteuid() == 0 ? p->maker : geteuid());
}

static bool
sockfile_give(const struct place *p, int file, char *err, size_t errlen)
{
	gid_t gid = p->gid;
	struct stat st;

	if (fstat(file, &st) != 0 || !is_ours(p, &st)) {
		snprintf(err, errlen, "%s was changed by somebody while it was made", p->path);
		return false;
	}
	if (gid == (gid_t)-1)
		gid = st.st_gid == 0 && p->service_gid != (gid_t)-1 ? p->service_gid : st.st_gid;
	if ((p->uid == st.st_uid && gid == st.st_gid) ||
	    fchownat(file, "", p->uid, gid, AT_EMPTY_PATH) == 0)
		return true;
	snprintf(err, errlen, "cannot set the owner of %s: %s (%d)", p->path,
		 strerrordesc_np(errno), errno);
	return false;
}

static bool
open_place(const struct place *p, int fd, char *err, size_t errlen)
{
	int file = -1;
	bool ok;

	if (!sockfile_clear(p, err, errlen) || !privs_as(p->maker, err, errlen))
		return false;
	ok = sockfile_make(p, fd, &file);
	privs_back();
	if (!ok)
		snprintf(err, errlen, "cannot listen on %s: %s (%d)", p->path,
			 strerrordesc_np(errno), errno);
	ok = ok && sockfile_give(p, file, err, errlen);
	if (file != -1)
		(void)close(file); /* only looked at */
	if (ok && listen(fd, SOMAXCONN) != 0) {
		snprintf(err, errlen, "cannot listen on %s: %s (%d)", p->path,
			 strerrordesc_np(errno), errno);
		ok = false;
	}
	return ok;
}

int
sockfile_open(const struct sockfile *f, char *err, size_t errlen)
{
	struct place p;
	int fd;

	if (!sockfile_find_place(f, &p, err, errlen))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		snprintf(err, errlen, "cannot make a socket for %s: %s (%d)", f->path,
			 strerrordesc_np(errno), errno);
		return -1;
	}
	if (open_place(&p, fd, err, errlen))
		return fd;
	(void)close(fd); /* nothing came through it */
	return -1;
}
