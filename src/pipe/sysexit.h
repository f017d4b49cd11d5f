/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome - what became of a message, in the two languages mail servers understand from a program
 * at the end of a pipe: a code of sysexits.h, and a text on standard error that begins with a code
 * of RFC 3463 (Postfix believes that one first; all put the text into bounces).
 */
#ifndef RST_PIPE_SYSEXIT_H
#define RST_PIPE_SYSEXIT_H

/* Of a reply, "550 5.1.1 <ann@example.org> there is no such mailbox here". NULL, or no reply at
 * all: the connection is gone, EX_TEMPFAIL. */
int outcome_of(const char *reply);

/* The text of a reply that is not well, without its three digits, is said. */
void outcome_say_reply(const char *reply);
/* "4.3.0 restante-deliver: ..." */
void outcome_say(const char *enhanced, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Of two recipients: what must be tried again wins, then what came first. */
int outcome_worse(int a, int b);

#endif
