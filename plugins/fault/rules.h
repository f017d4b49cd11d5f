/* SPDX-License-Identifier: Apache-2.0 */
/* rules - the script: its lines, and their effect on a call. The essay is in fault.c. */
#ifndef FAULT_RULES_H
#define FAULT_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <restante/module.h>

struct fault; /* fault.h */

/* The functions a rule can name. */
enum fault_fn {
	FN_VERIFY,
	FN_LOOKUP,
	FN_SECRET,
	FN_DOMAIN,
	FN_EVENT,
	FN_MBOX_OPEN,
	FN_MBOX_INFO,
	FN_MSG_OPEN,
	FN_MSG_READ,
	FN_MSG_FD,
	FN_MSG_CLOSE,
	FN_MBOX_COMMIT,
	FN_MBOX_CLOSE,
	FN_BOX_LIST,
	FN_BOX_STAT,
	FN_BOX_DELETE,
	FN_BOX_PLACE,
	FN_DLV_BEGIN,
	FN_DLV_RCPT,
	FN_DLV_WRITE,
	FN_DLV_PREPARE,
	FN_DLV_COMMIT,
	FN_DLV_ABORT,
	FN_PROBE,
	FN_TICK,
	FN_COUNT
};

enum fault_effect {
	EFFECT_ERROR,   /* answer rc, do nothing */
	EFFECT_AFTER,   /* do it, then answer rc */
	EFFECT_BADCODE, /* answer a code nobody knows */
	EFFECT_AGAIN,   /* answer PM_AGAIN, `amount` times */
	EFFECT_SLEEP,   /* amount ms, whatever the deadline says */
	EFFECT_HANG,    /* until the file `release` is there, or for ever */
	EFFECT_SHORT,   /* msg_read: at most `amount` bytes */
	EFFECT_LIE,     /* mbox_info: octets + amount */
	EFFECT_UNREAD,  /* mbox_info: message number `amount` is PM_MSG_UNREADABLE */
};

/* Calls first..last (1-based) of fn. */
struct fault_rule {
	enum fault_fn fn;
	enum fault_effect effect;
	uint64_t first, last;
	int32_t rc;
	int64_t amount;
};

/* The effect of all rules on one call. */
struct fault_turn {
	bool instead, after; /* answer rc without doing it; after doing it */
	int32_t rc;
	size_t cap; /* EFFECT_SHORT; SIZE_MAX: no rule */
	int64_t lie;
	uint64_t unread; /* 1-based; 0: none */
};

/* One line; false: what is wrong with it is in err. A line of white space or a comment has no rule:
 * *ret_empty. */
bool fault_rule_parse(const char *line, struct fault_rule *ret, bool *ret_empty, char *err,
		      size_t errlen);
/* Counts the call, sleeps and hangs; true: answer t->rc and do nothing. */
bool fault_begin(struct fault *f, enum fault_fn fn, const struct pm_call *call,
		 struct fault_turn *t);
/* The answer after the wrapped module gave rc. */
int32_t fault_end(const struct fault_turn *t, int32_t rc);

#endif
