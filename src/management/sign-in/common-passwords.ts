// Common passwords of eight characters or more, in lower case: the most frequent leaked ones, and obvious ones for this gateway.
// The list is short by design, because the throttle stops guessing; the list stops lucky guesses.

export const commonPasswords: ReadonlySet<string> = new Set(
  `
    00000000 0000000000 010203040 01234567 0123456789 102030405 11111111 1111111111 11223344 112233445566
    12121212 123123123 123321123 12341234 12344321 12345678 123456789 1234567890 123456789a 1234567a 123456abc
    12345qwert 1234qwer 13131313 147258369 159753123 1q2w3e4r 1qaz2wsx 1qazxsw2 20202020 21212121 22222222
    27182818 31415926 314159265 33333333 44444444 456456456 55555555 66666666 741852963 76543210 77777777
    789456123 789789789 87654321 88888888 963852741 987654321 9876543210 99999999 a12345678 a123456789
    a1b2c3d4 aa123456 aaaa1111 aaaaaaaa abababab abc12345 abc123456 abcd1234 abcd12345 abcdefgh access123
    access14 admin123 administrator aishiteru anthropic arigatou arsenal1 asd12345 asdasdasd asdf1234 asdfghjk
    asdfghjkl autumn123 autumn2026 babygirl1 backup123 barcelona baseball batman123 blink182 butterfly
    changeme changeme123 charlie1 chatgpt1 cheese12 chelsea1 chocolate claude123 company1 company123 computer
    contrasena contraseña cookie123 corvette cuda1234 database debian123 default1 docker123 doraemon dragon123
    ferrari1 football freedom1 friday123 geforce1 gemini123 goodbye1 guest123 harley12 haslo123 hello123
    hellohello helloworld heslo1234 himitsu1 himitsu123 iloveyou iloveyou1 iloveyou2 internet january1
    japan123 jennifer jordan23 konnichiwa kubernetes letmein1 linux123 liverpool llama123 login123 loginlogin
    lovelove loveyou1 lozenka1 manager1 manchester master123 mercedes metallica michael1 michelle monday123
    monkey123 motdepasse mustang1 mypassword mysql123 naruto123 nihongo1 nirvana1 nopassword nvidia123
    office123 ollama123 ollamaollama onegai123 openai123 operator operator1 operator123 oracle123 p@ssw0rd
    parola123 passw0rd password password! password01 password1 password12 password123 password1234 password2
    password99 passwort pasuwado pokemon1 pokemon123 postgres postgres1 princess qazwsx123 qazwsxedc qweasd123
    qweasdzxc qweqweqwe qwer1234 qwerty12 qwerty123 qwertyuiop realmadrid redis123 root1234 rootroot sakura123
    sakurasakura salasana secret123 sekisho1 sekisho123 sekishosekisho senha123 server123 shadow123 slipknot
    spring123 spring2026 starwars summer123 summer2024 summer2025 summer2026 sunshine superman system123
    test1234 testtest thepassword tokyo123 toor1234 trustno1 ubuntu123 user1234 username wachtwoord welcome1
    whatever whatever1 windows1 windows10 winter123 winter2024 winter2025 winter2026 yourpassword zaq12wsx
    zaq1zaq1 zxcvbnm1 zxcvbnm123 zxczxczxc
  `
    .trim()
    .split(/\s+/),
);
