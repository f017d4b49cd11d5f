# users: ben=restante
# mail: ben=plain
# set: max_failed_logins=2
S: +OK restante ready
C: USER nobody-here
S: +OK send PASS
C: PASS x
S: -ERR [AUTH] user name or password is wrong
C: PASS restante
S: -ERR USER first
C: USER ben
S: +OK send PASS
C: PASS 
S: -ERR [AUTH] user name or password is wrong
!end
!again
S: +OK restante ready
C: USER BEN
S: +OK send PASS
C: PASS restante
S: +OK 1 message
C: QUIT
S: +OK bye
!end
