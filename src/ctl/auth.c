/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/auth.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/requests.h"
#include "base/b64.h"
#include "base/secret.h"

#define PASSWORD_MAX 4096

static void
auth_wiping_free(void *p)
{
	secret_wipe(p, malloc_usable_size(p));
	free(p);
}

/* The first line of standard input, without its end; false: the reason was printed. */
static bool
read_password(char *buf, size_t *ret_n)
{
	size_t n;

	setvbuf(stdin, NULL, _IONBF, 0); /* no second copy */
	for (n = 0; n <= PASSWORD_MAX; n++) {
		int ch = getchar();

		if (ch == EOF || ch == '\n')
			break;
		buf[n] = (char)ch;
	}
	if (n > 0 && n <= PASSWORD_MAX && buf[n - 1] == '\r')
		n--;
	*ret_n = n;
	if (n > 0 && n <= PASSWORD_MAX)
		return true;
	fprintf(stderr,
		n == 0 ? "restantectl: --password-stdin: there is no password on standard input\n"
		       : "restantectl: --password-stdin: the password is too long\n");
	return false;
}

static bool
add_password(json_t *request)
{
	char raw[PASSWORD_MAX + 1], text[B64_ENCODED(PASSWORD_MAX) + 1];
	size_t n = 0;
	bool good = read_password(raw, &n);

	if (good) {
		text[b64_encode(raw, n, text)] = '\0';
		REQUEST_PUT(request, password_base64, json_string(text));
	}
	secret_wipe(raw, sizeof(raw));
	secret_wipe(text, sizeof(text));
	return good;
}

json_t *
auth_question(const struct ctl *c, const struct request *asks)
{
	const char *peer = options_get(c, "peer");
	json_t *request;

	if (c->argc != 2 || strcmp(c->argv[0], "test") != 0) {
		fprintf(stderr, "restantectl: auth takes test NAME\n");
		return NULL;
	}
	json_set_alloc_funcs(malloc, auth_wiping_free);
	request = requests_new(asks);
	if (request)
		REQUEST_PUT(request, name, json_string(c->argv[1]));
	if (request && peer)
		REQUEST_PUT(request, peer, json_string(peer));
	if (request && options_get(c, "password-stdin") && !add_password(request)) {
		json_decref(request);
		return NULL;
	}
	return request;
}
