/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Root works on paths whose meaning others may change: directories, sockets, secrets. `vault` is
 * root's alone; `theirs` belongs to the service user, who has planted links to it.
 */
#include "base/way.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/privs.h"
#include "net/sockfile.h"

#define USER "nobody"
#define OTHER "daemon"

static char top[] = "/tmp/rst-way.XXXXXX";
static char err[1024];
static bool root;
static uid_t me, uid, other_uid;
static gid_t gid, other_gid;

/* ---- files ----------------------------------------------------------------------------------- */

static const char *
at(const char *name)
{
	static char paths[4][200];
	static unsigned next;
	char *p = paths[next++ % 4];

	snprintf(p, sizeof(paths[0]), "%s/%s", top, name);
	return p;
}

static void
dir_new(const char *name, mode_t mode, uid_t owner, gid_t group)
{
	assert_int_equal(mkdir(at(name), 0700), 0);
	assert_int_equal(chown(at(name), owner, group), 0);
	assert_int_equal(chmod(at(name), mode), 0);
}

static void
link_new(const char *name, const char *to)
{
	assert_int_equal(symlink(at(to), at(name)), 0);
	assert_int_equal(lchown(at(name), uid, gid), 0);
}

static void
file_new(const char *name, const char *text, mode_t mode, uid_t owner)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL, 0600);

	assert_true(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	assert_int_equal(fchown(fd, owner, (gid_t)-1), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
assert_file(const char *name, mode_t type, mode_t mode, uid_t owner, gid_t group)
{
	struct stat st;

	assert_int_equal(lstat(at(name), &st), 0);
	assert_int_equal(st.st_mode & S_IFMT, type);
	assert_int_equal(st.st_mode & 07777, mode);
	assert_int_equal(st.st_uid, owner);
	assert_int_equal(st.st_gid, group);
}

static void
assert_absent(const char *name)
{
	assert_int_equal(access(at(name), F_OK), -1);
}

/* Fails, and the text has this. */
#define REFUSED(call, part) \
	do { \
		err[0] = '\0'; \
		assert_true(call); \
		if (!strstr(err, part)) \
			fail_msg("'%s' lacks '%s'", err, part); \
	} while (0)
#define TAKEN(call) \
	do { \
		err[0] = '\0'; \
		if (!(call)) \
			fail_msg("%s", err); \
	} while (0)

static int
setup(void **state)
{
	(void)state;
	me = uid = geteuid();
	gid = getegid();
	root = me == 0;
	umask(077);
	if (root && (!privs_find(USER, &uid, &gid, err, sizeof(err)) ||
		     !privs_find(OTHER, &other_uid, &other_gid, err, sizeof(err))))
		return -1;
	if (!mkdtemp(top) || chmod(top, 0755) != 0)
		return -1;
	dir_new("theirs", 0755, uid, gid);
	dir_new("vault", 0755, me, getegid());
	link_new("theirs/way", "vault");
	return 0;
}

static int
teardown(void **state)
{
	char cmd[100];

	(void)state;
	snprintf(cmd, sizeof(cmd), "rm -rf %s", top);
	return system(cmd);
}

/* ---- directories ----------------------------------------------------------------------------- */

static bool
make_dir(const char *name)
{
	return privs_make_dir(at(name), root ? USER : NULL, err, sizeof(err));
}

static void
makes_a_directory_of_the_users(void **state)
{
	(void)state;
	dir_new("open", 01777, me, getegid());
	for (int again = 0; again < 2; again++) {
		TAKEN(make_dir("state"));
		assert_file("state", S_IFDIR, 0700, uid, gid);
		TAKEN(make_dir("theirs/state"));
		assert_file("theirs/state", S_IFDIR, 0700, uid, gid);
		TAKEN(make_dir("open/state")); /* as /tmp is: nobody can take it away */
		assert_file("open/state", S_IFDIR, 0700, uid, gid);
	}
	assert_int_equal(symlink(at("state"), at("alias")), 0);
	TAKEN(make_dir("alias"));
	REFUSED(!make_dir("absent/state"), "absent': No such file");
	file_new("file", "", 0600, me);
	REFUSED(!make_dir("file"), "Not a directory");
	REFUSED(!make_dir("file/state"), "Not a directory");
}

static void
refuses_a_directory_others_may_write_to(void **state)
{
	static const mode_t modes[] = {0777, 0770, 0702, 01777, 02770};

	(void)state;
	dir_new("shared", 0700, uid, gid);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		char want[200];

		assert_int_equal(chmod(at("shared"), modes[i]), 0);
		snprintf(want, sizeof(want), "(mode %04o): chmod go-w '%s'", (unsigned)modes[i],
			 at("shared"));
		REFUSED(!make_dir("shared"), want);
	}
	assert_int_equal(chmod(at("shared"), 0755), 0);
	TAKEN(make_dir("shared"));
}

static void
refuses_a_directory_of_another(void **state)
{
	(void)state;
	if (!root) {
		REFUSED(!privs_make_dir("/", NULL, err, sizeof(err)),
			"belongs to user id 0; it must belong to the user who");
		return;
	}
	dir_new("roots", 0700, 0, 0);
	REFUSED(!make_dir("roots"), "belongs to user id 0; it must belong to " USER ": chown -R");
	assert_file("roots", S_IFDIR, 0700, 0, 0);
	dir_new("foreign", 0755, other_uid, other_gid);
	REFUSED(!make_dir("foreign"), "it must belong to root or the service user: chown root");
	REFUSED(!make_dir("foreign/state"),
		"it must belong to root or the service user: chown root");
	assert_absent("foreign/state");
	dir_new("wide", 0777, 0, 0);
	REFUSED(!make_dir("wide/state"), "chmod go-w");
	assert_absent("wide/state");
}

/* With root's rights it would be made where the link leads, and given away. */
static void
makes_nothing_behind_a_link_of_the_users(void **state)
{
	(void)state;
	if (!root)
		return; /* no rights are lent: the kernel refuses files that are not ours */
	REFUSED(!make_dir("theirs/way/state"), "cannot make directory");
	assert_absent("vault/state");
	link_new("theirs/dangling", "vault/new");
	REFUSED(!make_dir("theirs/dangling"), "");
	assert_absent("vault/new");
	link_new("theirs/run", "vault");
	REFUSED(!make_dir("theirs/run"), "belongs to user id 0");
	assert_file("vault", S_IFDIR, 0755, 0, 0);
	link_new("theirs/loop", "theirs/loop");
	REFUSED(!make_dir("theirs/loop"), "Too many levels");
	REFUSED(!make_dir("theirs/loop/state"), "Too many levels");
}

/* ---- sockets --------------------------------------------------------------------------------- */

static int
open_socket(const char *name, unsigned mode, const char *owner, const char *group)
{
	struct sockfile f = {at(name), mode, root ? USER : NULL, owner, group};

	return sockfile_open(&f, err, sizeof(err));
}

static bool
opens(const char *name, unsigned mode, const char *owner, const char *group)
{
	int fd = open_socket(name, mode, owner, group);

	if (fd != -1)
		close(fd);
	return fd != -1;
}

static void
gives_a_socket_its_mode_and_owner(void **state)
{
	static const mode_t modes[] = {0600, 0660, 0666, 0622};

	(void)state;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		TAKEN(opens("theirs/s", modes[i], NULL, NULL)); /* and the next one finds it dead */
		assert_file("theirs/s", S_IFSOCK, modes[i], uid, gid);
		TAKEN(opens("vault/s", modes[i], NULL, NULL));
		assert_file("vault/s", S_IFSOCK, modes[i], uid, gid);
	}
	assert_int_equal(umask(077), 077);
	REFUSED(opens("vault/s", 0600, "no-such-user", NULL) == false,
		"owner = no-such-user: there is no such user");
	REFUSED(opens("vault/s", 0600, NULL, "no-such-group") == false,
		"group = no-such-group: there is no such group");
	REFUSED(opens("absent/s", 0600, NULL, NULL) == false, "absent': No such file");
}

static void
gives_a_socket_to_others(void **state)
{
	(void)state;
	if (!root)
		return; /* nobody else can give anything away */
	dir_new("mta", 0700, other_uid, other_gid);
	dir_new("theirs/set", 02750, uid, other_gid);
	for (int again = 0; again < 2; again++) {
		TAKEN(opens("theirs/o", 0600, OTHER, OTHER));
		assert_file("theirs/o", S_IFSOCK, 0600, other_uid, other_gid);
		TAKEN(opens("vault/o", 0600, OTHER, NULL));
		assert_file("vault/o", S_IFSOCK, 0600, other_uid, gid);
		TAKEN(opens("theirs/g", 0660, NULL, OTHER));
		assert_file("theirs/g", S_IFSOCK, 0660, uid, other_gid);
		TAKEN(opens("theirs/set/s", 0660, NULL, NULL)); /* the directory says which group */
		assert_file("theirs/set/s", S_IFSOCK, 0660, uid, other_gid);
		TAKEN(opens("mta/s", 0660, OTHER, NULL));
		assert_file("mta/s", S_IFSOCK, 0660, other_uid, other_gid);
	}
	REFUSED(!opens("mta/t", 0660, NULL, NULL), "it must belong to root or the service user");
	assert_absent("mta/t");
}

static void
takes_no_socket_that_is_answered(void **state)
{
	static const char *const names[] = {"theirs/busy", "vault/busy"};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = open_socket(names[i], 0600, root ? OTHER : NULL, NULL);

		assert_int_not_equal(fd, -1);
		REFUSED(!opens(names[i], 0600, root ? OTHER : NULL, NULL),
			"another program listens there");
		REFUSED(!opens(names[i], 0600, NULL, NULL), "another program listens there");
		close(fd);
		TAKEN(opens(names[i], 0600, root ? OTHER : NULL, NULL));
	}
}

static void
refuses_a_socket_where_others_may_write(void **state)
{
	static const mode_t modes[] = {0777, 0770, 01777};

	(void)state;
	dir_new("market", 0700, uid, gid);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(chmod(at("market"), modes[i]), 0);
		REFUSED(!opens("market/s", 0600, NULL, NULL), "market' can be written by others");
		REFUSED(!opens("market/s", 0600, NULL, NULL), "chmod go-w '");
		assert_absent("market/s");
	}
}

static void
touches_nothing_behind_a_planted_link(void **state)
{
	(void)state;
	file_new("vault/file", "of root", 0600, me);
	link_new("theirs/plant", "vault/file");
	REFUSED(!opens("theirs/plant", 0666, NULL, NULL), "is not a socket");
	assert_file("vault/file", S_IFREG, 0600, me, getegid());
	link_new("theirs/nowhere", "vault/made");
	REFUSED(!opens("theirs/nowhere", 0666, NULL, NULL), "is not a socket");
	assert_absent("vault/made");
	if (!root)
		return; /* the rest is about rights that are lent */
	TAKEN(opens("vault/dead", 0600, NULL, NULL));
	assert_int_equal(chown(at("vault/dead"), 0, 0), 0);
	REFUSED(!opens("theirs/way/dead", 0666, NULL, NULL), "");
	assert_file("vault/dead", S_IFSOCK, 0600, 0, 0);
	REFUSED(!opens("theirs/way/new", 0666, NULL, NULL), "Permission denied");
	assert_absent("vault/new");
}

/* ---- secrets, and the account itself --------------------------------------------------------- */

static void
reads_with_the_rights_of_the_way(void **state)
{
	int fd;

	(void)state;
	file_new("vault/secret", "of root", 0600, me);
	file_new("theirs/secret", "of theirs", 0600, uid);
	link_new("theirs/sly", "vault/secret");
	for (int i = 0; i < 2; i++) {
		fd = privs_open(at(i ? "theirs/secret" : "vault/secret"), O_RDONLY, err,
				sizeof(err));
		assert_int_not_equal(fd, -1);
		close(fd);
	}
	REFUSED(privs_open(at("theirs/absent"), O_RDONLY, err, sizeof(err)) == -1,
		"absent': No such file");
	if (!root)
		return; /* without rights there are none to lend */
	REFUSED(privs_open(at("theirs/sly"), O_RDONLY, err, sizeof(err)) == -1,
		"sly': Permission denied");
	REFUSED(privs_open(at("theirs/way/secret"), O_RDONLY, err, sizeof(err)) == -1,
		"Permission denied");
	assert_int_equal(symlink(at("theirs/sly"), at("vault/double")), 0);
	REFUSED(privs_open(at("vault/double"), O_RDONLY, err, sizeof(err)) == -1,
		"Permission denied");
}

static void
gets_its_rights_back(void **state)
{
	gid_t set[3] = {0, 4, 65533}, before[64], now[64];
	int n, m;

	(void)state;
	if (root)
		assert_int_equal(setgroups(3, set), 0);
	n = getgroups(64, before);
	TAKEN(privs_as(uid, err, sizeof(err)));
	assert_int_equal(geteuid(), uid);
	if (root) {
		assert_int_equal(getegid(), gid);
		assert_int_equal(getgroups(0, NULL), 0);
	}
	privs_back();
	privs_back(); /* once more does no harm */
	assert_int_equal(geteuid(), me);
	m = getgroups(64, now);
	assert_int_equal(n, m);
	assert_memory_equal(before, now, (size_t)n * sizeof(before[0]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_a_directory_of_the_users),
		cmocka_unit_test(refuses_a_directory_others_may_write_to),
		cmocka_unit_test(refuses_a_directory_of_another),
		cmocka_unit_test(makes_nothing_behind_a_link_of_the_users),
		cmocka_unit_test(gives_a_socket_its_mode_and_owner),
		cmocka_unit_test(gives_a_socket_to_others),
		cmocka_unit_test(takes_no_socket_that_is_answered),
		cmocka_unit_test(refuses_a_socket_where_others_may_write),
		cmocka_unit_test(touches_nothing_behind_a_planted_link),
		cmocka_unit_test(reads_with_the_rights_of_the_way),
		cmocka_unit_test(gets_its_rights_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
