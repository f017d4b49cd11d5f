/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sysexit - the outcome of a delivery, in the two languages mail servers understand from a program
 * at the end of a pipe: a code of sysexits.h, and a text on standard error that begins with a code
 * of RFC 3463 (Postfix believes that one first; all put the text into bounces).
 */
#ifndef RST_PIPE_SYSEXIT_H
#define RST_PIPE_SYSEXIT_H

/* The code of a reply, "550 5.1.1 <ann@example.org> there is no such mailbox here". NULL, or no
 * reply at all: the connection is gone, EX_TEMPFAIL. */
int sysexit_of(const char *reply);

/* Prints the text of a reply that is a failure, without its three digits. */
void sysexit_print_reply(const char *reply);
/* Prints "4.3.0 restante-deliver: ...". */
void sysexit_print(const char *enhanced, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The code for two recipients: one that must be tried again wins, then the first. */
int sysexit_worse(int a, int b);

#endif
