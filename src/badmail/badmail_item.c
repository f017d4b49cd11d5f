/* SPDX-License-Identifier: Apache-2.0 */
#include "badmail/badmail_item.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "badmail/badmail_place.h"
#include "base/log.h"

#define SIDECAR_MAX (4u << 20) /* a thousand recipients fit many times over */

/* JSON holds UTF-8 only: other bytes are escaped, so that the operator sees them. */
static json_t *
text_json(struct pm_str s)
{
	char buf[1400];
	json_t *j = json_stringn(s.n > 0 ? s.p : "", s.n);

	return j ? j : json_string(log_escape(buf, sizeof(buf), s.p, s.n));
}

/* Tells this item from all others, even after the numbers have begun anew. */
static json_t *
key_json(void)
{
	unsigned char key[16];
	char hex[33];

	if (RAND_bytes(key, sizeof(key)) != 1)
		return json_string("");
	for (size_t i = 0; i < sizeof(key); i++)
		snprintf(hex + 2 * i, 3, "%02x", key[i]);
	return json_string(hex);
}

static json_t *
list_json(const struct pm_str *list, size_t n)
{
	json_t *a = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(a, text_json(list[i])) != 0) {
			json_decref(a);
			return NULL;
		}
	return a;
}

json_t *
badmail_item_json(const struct badmail_item *item, uint64_t octets, int64_t now_ms, int64_t next_ms)
{
	json_t *j = json_object();
	int bad = 0;

	bad |= json_object_set_new(j, "version", json_integer(1));
	bad |= json_object_set_new(j, "key", key_json());
	bad |= json_object_set_new(j, "class", json_string(badmail_id_class(item->cls)));
	bad |= json_object_set_new(j, "time_ms", json_integer(now_ms));
	bad |= json_object_set_new(j, "sender", text_json(item->sender));
	bad |= json_object_set_new(j, "recipients", list_json(item->rcpts, item->n_rcpts));
	if (item->names)
		bad |= json_object_set_new(j, "names", list_json(item->names, item->n_rcpts));
	bad |= json_object_set_new(j, "reason", text_json(item->reason));
	bad |= json_object_set_new(j, "detail", text_json(item->detail));
	bad |= json_object_set_new(j, "code", text_json(item->code));
	bad |= json_object_set_new(j, "source", text_json(item->source));
	bad |= json_object_set_new(j, "peer", text_json(item->peer));
	bad |= json_object_set_new(j, "helo", text_json(item->helo));
	bad |= json_object_set_new(j, "utf8", json_boolean(item->utf8));
	bad |= json_object_set_new(j, "octets", json_integer((json_int_t)octets));
	bad |= json_object_set_new(j, "tries", json_integer(0));
	bad |= json_object_set_new(j, "next_ms", json_integer(next_ms));
	if (bad) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static bool
is_list(const json_t *a)
{
	const json_t *x;
	size_t i;

	if (!json_is_array(a))
		return false;
	json_array_foreach(a, i, x) if (!json_is_string(x)) return false;
	return true;
}

/* The fields everything else relies on. */
static bool
is_item(const json_t *j)
{
	static const char *const texts[] = {"class", "sender", "reason", "code", "source"};
	const json_t *names = json_object_get(j, "names");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!json_is_string(json_object_get(j, texts[i])))
			return false;
	return json_integer_value(json_object_get(j, "version")) == 1 &&
	       is_list(json_object_get(j, "recipients")) &&
	       (!names ||
		(is_list(names) &&
		 json_array_size(names) == json_array_size(json_object_get(j, "recipients"))));
}

/* NULL: it is none. Pure; a fuzz target. */
static json_t *
badmail_item_parse(const char *text, size_t n)
{
	json_error_t err;
	json_t *j = json_loadb(text, n, JSON_REJECT_DUPLICATES, &err);

	if (j && !is_item(j)) {
		json_decref(j);
		return NULL;
	}
	return j;
}

/* errno: EBADMSG, it is none of ours; else it cannot be read. */
static json_t *
item_read(int fd)
{
	struct stat st;
	json_t *j = NULL;
	ssize_t got;
	char *text;
	int e;

	if (fstat(fd, &st) != 0)
		return NULL;
	errno = EBADMSG;
	if (!S_ISREG(st.st_mode) || st.st_size >= SIDECAR_MAX)
		return NULL;
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return NULL;
	got = read(fd, text, (size_t)st.st_size);
	e = got < 0 ? errno : EBADMSG;
	if (got == st.st_size)
		j = badmail_item_parse(text, (size_t)got);
	free(text);
	errno = e;
	return j;
}

json_t *
badmail_item_load(const struct conf_badmail *b, enum badmail_class cls, uint64_t id)
{
	char path[BADMAIL_PATH_MAX];
	json_t *j;
	int fd, e;

	badmail_place_item(b, cls, id, ".json", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	j = fd != -1 ? item_read(fd) : NULL;
	e = errno;
	if (fd != -1)
		(void)close(fd);
	if (!j && e == EBADMSG)
		log_msg(LOG_LVL_WARNING, "badmail",
			"%s is no sidecar; look at it, and at the message beside it", path);
	else if (!j && e != ENOENT)
		log_msg(LOG_LVL_WARNING, "badmail", "%s cannot be read, and its message waits: %s",
			path, strerrordesc_np(e));
	errno = e;
	return j;
}

int
badmail_item_write(const json_t *j, const char *path, int64_t next_ms)
{
	struct timespec times[2] = {
		{.tv_nsec = UTIME_NOW},
		{.tv_sec = next_ms / 1000, .tv_nsec = next_ms % 1000 * 1000000}};
	char *text = json_dumps(j, JSON_INDENT(1) | JSON_ENSURE_ASCII);
	size_t n = text ? strlen(text) : 0;
	int fd, e = 0;

	if (!text)
		return ENOMEM;
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd == -1 || write(fd, text, n) != (ssize_t)n || write(fd, "\n", 1) != 1 ||
	    futimens(fd, times) != 0 || fsync(fd) != 0)
		e = errno ? errno : ENOSPC;
	free(text);
	if (fd != -1 && close(fd) != 0 && e == 0)
		e = errno;
	if (e != 0 && fd != -1)
		(void)unlink(path);
	return e;
}

const char *
badmail_item_text(const json_t *j, const char *key)
{
	const char *s = json_string_value(json_object_get(j, key));

	return s ? s : "";
}

bool
badmail_item_has(const json_t *j, const char *list, const char *text)
{
	const json_t *x;
	size_t i;

	json_array_foreach(json_object_get(j, list), i,
			   x) if (json_is_string(x) &&
				  strcmp(json_string_value(x), text) == 0) return true;
	return false;
}

void
badmail_item_sender_domain(const json_t *j, char *buf, size_t cap)
{
	const char *sender = badmail_item_text(j, "sender"), *at = strrchr(sender, '@');

	snprintf(buf, cap, "%s", !*sender ? "<>" : at ? at + 1 : sender);
	for (char *p = buf; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
}
