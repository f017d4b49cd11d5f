/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kill - places where tests/crash ends the process: before and after each durable step of a store.
 * Nothing at all in builds without --enable-kill-points. RESTANTE_KILL_POINT=n: the n-th point that
 * is passed ends the process with code 99. The points of modules and those of the server
 * (base/kill.h) are counted apart: mn is for modules only, sn for the server only.
 */
#ifndef SDK_KILL_H
#define SDK_KILL_H

#ifdef RST_KILL_POINTS
void sdk_kill_point(void);
#define KILL_POINT(name) sdk_kill_point()
#else
#define KILL_POINT(name) ((void)0)
#endif

#endif
