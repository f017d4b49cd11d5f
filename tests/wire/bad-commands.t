# set: max_bad_commands=3
S: +OK restante ready
C: A
S: -ERR unknown command
C: B
S: -ERR unknown command
C: C
S: -ERR unknown command
!end
