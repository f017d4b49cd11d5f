# mail: ann=plain
# RFC 5034: initial response, "=", continuation, "*"
S: +OK restante ready
C: AUTH
S~ \+OK.*
S: PLAIN
S: LOGIN
S: .
C: AUTH PLAIN
S: + 
C: *
S: -ERR cancelled
C: AUTH PLAIN =
S: -ERR not a message of this mechanism
C: AUTH PLAIN !!!
S: -ERR not base64
C: AUTH PLAIN AGFubgByZXN0YW50ZQ==
S: +OK 1 message
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: auth plain
S: + 
C: AGFubgByZXN0YW50ZQ==
S: +OK 1 message
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: AUTH LOGIN
S: + VXNlcm5hbWU6
C: YW5u
S: + UGFzc3dvcmQ6
C: cmVzdGFudGU=
S: +OK 1 message
C: QUIT
S: +OK bye
!again
S: +OK restante ready
C: AUTH PLAIN YmVuAGFubgByZXN0YW50ZQ==
S: -ERR [AUTH] logging in on behalf of others is not possible
C: AUTH PLAIN AGFubgB3cm9uZw==
S: -ERR [AUTH] user name or password is wrong
C: QUIT
S: +OK bye
!end
