/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply - one-line replies: +OK and -ERR, response codes, never over 512 octets (RFC 2449 section
 * 4). A text begins with '[' only when it is a response code. Pure.
 */
#ifndef RST_POP3_REPLY_H
#define RST_POP3_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REPLY_MAX 512

enum reply_code {
	CODE_NONE,
	CODE_AUTH,
	CODE_IN_USE,
	CODE_SYS_TEMP,
	CODE_SYS_PERM,
	CODE_LOGIN_DELAY
};

/* Formats "+OK text\r\n" or "-ERR [CODE] text\r\n" into out (>= REPLY_MAX); cut to fit; control
 * characters become '?'. Returns the length. */
size_t reply_ok(char *out, const char *text);
size_t reply_err(char *out, enum reply_code code, const char *text);

/* The reply to a client after a module's result, from one table of codes and sentences. what:
 * names the action ("login", "this message"). */
enum reply_code reply_code_of(int32_t pm_rc);
size_t reply_result(char *out, int32_t pm_rc, const char *what);

#endif
