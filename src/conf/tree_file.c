/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/tree_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/privs.h"
#include "base/secret.h"

#define FILE_MAX (4u << 20)
#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NONBLOCK)

/* The whole file, malloc'd; NULL: reported. fd is closed; -1: errno has why. */
static char *
read_whole(int fd, const char *file, struct conf_errors *e, const struct conf_where *w,
	   size_t *ret_n)
{
	struct stat st;
	char *text = NULL;
	size_t n = 0;

	if (fd == -1 || fstat(fd, &st) != 0) {
		conf_error(e, w, "cannot read '%s': %s", file, strerrordesc_np(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		conf_error(e, w, "'%s' is not a regular file of at most 4 MiB", file);
		goto out;
	}
	text = malloc((size_t)st.st_size + 1);
	while (text && n < (size_t)st.st_size) {
		ssize_t got = read(fd, text + n, (size_t)st.st_size - n);

		if (got < 0) {
			conf_error(e, w, "cannot read '%s': %s", file, strerrordesc_np(errno));
			free(text);
			text = NULL;
			goto out;
		}
		if (got == 0)
			break; /* it became shorter */
		n += (size_t)got;
	}
	if (!text)
		conf_error(e, w, "no memory to read '%s'", file);
	*ret_n = n;
out:
	if (fd != -1)
		(void)close(fd);
	return text;
}

static char *
read_file(const char *file, struct conf_errors *e, const struct conf_where *w, size_t *ret_n)
{
	return read_whole(open(file, READ_FLAGS), file, e, w, ret_n);
}

/* A password, perhaps in a directory that is not root's: whoever may put a link there must not
 * learn what root may read. */
static char *
read_secret(const char *file, struct conf_errors *e, const struct conf_where *w, size_t *ret_n)
{
	char err[PATH_MAX + 200];
	int fd = privs_open(file, READ_FLAGS, err, sizeof(err));

	if (fd != -1)
		return read_whole(fd, file, e, w, ret_n);
	conf_error(e, w, "cannot read %s", err);
	return NULL;
}

/* A tree_open_fn. */
static char *
open_other(const char *file, enum tree_kind kind, struct conf_errors *e, const struct conf_where *w,
	   size_t *ret_n)
{
	return kind == TREE_SECRET ? read_secret(file, e, w, ret_n) : read_file(file, e, w, ret_n);
}

struct conf_node *
tree_file_read(struct arena *a, const char *file, struct conf_errors *e)
{
	struct conf_where w = {file, 1, 1};
	struct conf_node *first;
	size_t n = 0;
	char *text = read_file(file, e, &w, &n);

	if (!text)
		return NULL;
	first = tree_parse(a, file, text, n, open_other, e);
	secret_wipe(text, n);
	free(text);
	return first;
}
