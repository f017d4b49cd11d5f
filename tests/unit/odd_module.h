/* SPDX-License-Identifier: Apache-2.0 */
/* odd - the ways in which odd_module.c can be wrong. */
#ifndef TESTS_UNIT_ODD_MODULE_H
#define TESTS_UNIT_ODD_MODULE_H

enum odd {
	ODD_NONE,
	ODD_MAJOR,
	ODD_MINOR,
	ODD_DRAFT,
	ODD_NAME,
	ODD_SMALL,
	ODD_VERIFY,
	ODD_LIFE,
	ODD_NOTHING,
	ODD_DELIVERY,
	ODD_OPTION,
	ODD_INIT,
	ODD_LARGE,       /* fits: fields of a later minor are not looked at */
	ODD_SHORT_TABLE, /* fits: a method beyond the end does not exist */
	ODD_CHECK,
	ODD_CHECK_MUTE,
	ODD_OPEN,
};

void odd_choose(enum odd what);
int odd_initialised(void);

#endif
