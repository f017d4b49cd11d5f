/* SPDX-License-Identifier: Apache-2.0 */
#include "remote.h"

#include <stddef.h>
#include <sys/vfs.h>

/* The numbers of statfs(2) and of linux/magic.h; the headers of older kernels lack some. */
static const struct {
	uint32_t type;
	const char *name;
} remote[] = {
	{0x00006969, "NFS"},      {0xff534d42, "CIFS"},      {0xfe534d42, "SMB"},
	{0x0000517b, "SMB"},      {0x65735546, "FUSE"},      {0x01021997, "9P"},
	{0x00c36400, "CephFS"},   {0x0bd00bd0, "Lustre"},    {0x01161970, "GFS2"},
	{0x7461636f, "OCFS2"},    {0x5346414f, "AFS"},       {0x6b414653, "AFS"},
	{0x73757245, "Coda"},     {0x47504653, "GPFS"},      {0xaad7aaea, "PanFS"},
	{0x19830326, "BeeGFS"},   {0x20030528, "OrangeFS"},  {0x61636673, "ACFS"},
	{0xbeefdead, "StorNext"}, {0x0000564c, "NCP"},       {0x786f4256, "VirtualBox"},
	{0xbacbacbc, "VMware"},   {0x7c7c6673, "Parallels"},
};

const char *
sdk_remote_name(uint32_t type)
{
	for (size_t k = 0; k < sizeof(remote) / sizeof(remote[0]); k++)
		if (remote[k].type == type)
			return remote[k].name;
	return NULL;
}

const char *
sdk_remote_fs(int fd)
{
	struct statfs fs;

	/* f_type is signed on some machines: 0xff534d42 comes as a negative number */
	return fstatfs(fd, &fs) == 0 ? sdk_remote_name((uint32_t)fs.f_type) : NULL;
}
