# PM_BACKEND(NAME, KIND, [DEPENDENCY-CONDITION])
# A module we ship: backends/KIND/NAME. --without-NAME leaves it out. DEPENDENCY-CONDITION is a shell
# test that says whether its libraries are there; when it is false and the module was not asked for by
# --with-NAME it is left out and the summary says so; when it was asked for, configure stops.
AC_DEFUN([PM_BACKEND], [
AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [leave out the $2 module $1])], [],
	[with_$1=auto])
AS_IF([test "x$with_$1" = xno], [pm_$1="no (--without-$1)"],
	[m4_default([$3], [true])], [pm_$1=yes],
	[test "x$with_$1" = xyes], [AC_MSG_ERROR([--with-$1: its libraries are missing])],
	[pm_$1="no (libraries missing)"])
AM_CONDITIONAL([WITH_]m4_toupper([$1]), [test "x$pm_$1" = xyes])
PM_SUMMARY="$PM_SUMMARY
  $2 $1: $pm_$1"
])
