/* SPDX-License-Identifier: Apache-2.0 */
/* errors - mistakes in a configuration file, each with its place. */
#ifndef RST_CONF_ERRORS_H
#define RST_CONF_ERRORS_H

#include <stddef.h>

struct conf_where {
	const char *file;
	unsigned line, column;
};

/* Where errors go: file:line:column and a sentence. Called once per error. */
struct conf_errors {
	void (*report)(void *ctx, const struct conf_where *where, const char *text);
	void *ctx;
	size_t count;
};
void conf_error(struct conf_errors *e, const struct conf_where *w, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
