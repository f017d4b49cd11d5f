/* SPDX-License-Identifier: Apache-2.0 */
/*
 * maildirsize of Maildir++: the running total that other programs (Dovecot, Courier) use. Its first
 * line is the quota, each further one "octets messages", with a sign; each line is appended by one
 * write. We keep such a file up to date, but never make one and never use it: the program that set
 * the quota counts, and counts again when the file has grown past 5,120 octets, as the description
 * of Maildir++ asks.
 */
#include "size.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
size_add(int fd, int64_t octets, int64_t messages)
{
	char line[64];
	struct stat st;
	int n = snprintf(line, sizeof(line), "%lld %lld\n", (long long)octets, (long long)messages);
	int sfd = openat(fd, "maildirsize",
			 O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);

	if (sfd == -1)
		return;
	if (fstat(sfd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 &&
	    write(sfd, line, (size_t)n) != n)
		/* a wrong total is worse than none: the other program makes a new one */
		(void)unlinkat(fd, "maildirsize", 0);
	(void)close(sfd);
}
