/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - runs a target over every file of the directories named, without a fuzzer: a test point
 * for each directory. TAP. An input that is wrong ends the process; its name is the last line that
 * was printed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define INPUT_MAX (1u << 20)

/* A regular file of directory fd, malloc'd to the byte; NULL: it is none, or cannot be read. */
static uint8_t *
read_input(int dir, const char *name, size_t *ret_n)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	uint8_t *bytes = NULL;
	struct stat st;
	size_t n = 0;

	if (fd == -1)
		return NULL;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= INPUT_MAX)
		bytes = fuzz_alloc((size_t)st.st_size);
	while (bytes && n < (size_t)st.st_size) {
		ssize_t got = read(fd, bytes + n, (size_t)st.st_size - n);

		if (got <= 0) {
			free(bytes);
			bytes = NULL;
		} else {
			n += (size_t)got;
		}
	}
	(void)close(fd);
	*ret_n = n;
	return bytes;
}

/* Returns how many inputs were run; -1: one could not be read. */
static int
replay(const char *path)
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort),
	    dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ran = dir == -1 ? -1 : 0;

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		uint8_t *bytes;
		size_t size = 0;

		if (name[0] != '.' && ran >= 0) {
			printf("# %s\n", name);
			bytes = read_input(dir, name, &size);
			if (bytes)
				(void)LLVMFuzzerTestOneInput(bytes, size);
			ran = bytes ? ran + 1 : -1;
			free(bytes);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
	if (dir != -1)
		(void)close(dir);
	return ran;
}

int
main(int argc, char **argv)
{
	int bad = argc < 2;

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("1..%d\n", argc - 1);
	for (int i = 1; i < argc; i++) {
		int ran = replay(argv[i]);

		bad |= ran <= 0;
		printf("%s %d - %s: %d inputs\n", ran > 0 ? "ok" : "not ok", i, argv[i],
		       ran > 0 ? ran : 0);
	}
	return bad;
}
