/* SPDX-License-Identifier: Apache-2.0 */
/* sdk/remote: which file systems are somebody else's. The kernel's header is the witness. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <unistd.h>

#include "remote.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void
remote_file_systems_have_names(void **state)
{
	static const struct {
		uint32_t type;
		const char *name;
	} cases[] = {
		{NFS_SUPER_MAGIC, "NFS"},     {SMB_SUPER_MAGIC, "SMB"},
		{V9FS_MAGIC, "9P"},           {OCFS2_SUPER_MAGIC, "OCFS2"},
		{AFS_SUPER_MAGIC, "AFS"},     {CODA_SUPER_MAGIC, "Coda"},
		{CEPH_SUPER_MAGIC, "CephFS"}, {FUSE_SUPER_MAGIC, "FUSE"},
	};

	(void)state;
	for (size_t k = 0; k < COUNT(cases); k++) {
		assert_non_null(sdk_remote_name(cases[k].type));
		assert_string_equal(sdk_remote_name(cases[k].type), cases[k].name);
	}
}

static void
local_ones_have_none(void **state)
{
	static const uint32_t types[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
		F2FS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, RAMFS_MAGIC,       0,
		UINT32_MAX};
	int proc = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	for (size_t k = 0; k < COUNT(types); k++)
		assert_null(sdk_remote_name(types[k]));
	assert_int_not_equal(proc, -1);
	assert_null(sdk_remote_fs(proc));
	(void)close(proc);
	assert_null(sdk_remote_fs(-1));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(remote_file_systems_have_names),
		cmocka_unit_test(local_ones_have_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
