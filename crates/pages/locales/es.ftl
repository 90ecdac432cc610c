skip = Ir al contenido

footer = Identidad y acceso para agentes de IA

language = Idioma

or = o

continue = Continuar

later = Ahora no

rename = Cambiar nombre

remove = Eliminar

password = Contraseña

sign-out = Cerrar sesión
sign-out-ask = ¿Cerrar la sesión de Writ?

login-title = Iniciar sesión
login-again = Confirma que eres tú
login-for = para continuar con {$client}
login-passkey = Iniciar sesión con una llave de acceso
login-passkey-failed = No se usó la llave de acceso. Inténtalo de nuevo o elige otra forma.
login-name = Nombre o correo electrónico
login-go = Continuar con contraseña
login-lost = ¿Has perdido el acceso?
login-lost-ask = ¿Has perdido el acceso? Pide un enlace a un administrador.

factor-title = Segundo paso
factor-lead = Introduce el código que muestra tu aplicación de autenticación.
factor-code = Código
factor-recovery = ¿No tienes la aplicación? Aquí también sirve un código de recuperación.

recover-title = Recuperar el acceso
recover-lead = Introduce tu nombre o correo electrónico. Se enviará un enlace a la dirección registrada.
recover-go = Enviar el enlace

mail-subject = Tu enlace a Writ
mail-text =
    Hola, {$name}:

    este enlace te permite entrar y configurar cómo inicias sesión. Funciona una vez y solo durante poco tiempo:

    {$url}

    Si no lo has pedido, no hagas nada: sin este enlace no cambia nada.

join-title = Te damos la bienvenida a Writ
join-lead = Este enlace es solo para ti y funciona una vez. Continúa para configurar cómo inicias sesión.

setup-title = Cómo inicias sesión
setup-lead = Una llave de acceso es lo más rápido y no se puede suplantar. Tu dispositivo pide tu cara, huella o PIN.

passkey-name = Nombre de la llave de acceso
passkey-name-first = Mi primera llave de acceso
passkey-make = Crear una llave de acceso
passkey-add = Añadir una llave de acceso
passkey-failed = No se creó ninguna llave de acceso. Inténtalo de nuevo o elige otra forma.

password-new = Nueva contraseña
password-rule = Al menos {$min} caracteres, y nada que otros adivinen primero. Varias palabras sin relación son una buena opción.
password-set = Establecer contraseña
password-change = Cambiar contraseña
password-add = Añadir una contraseña

totp-title = Aplicación de autenticación
totp-lead = Escanea esta imagen con una aplicación de autenticación e introduce el código que muestra.
totp-picture = Imagen para la aplicación de autenticación; a continuación figura como texto
totp-type = O escribe esto en la aplicación:
totp-confirm = Confirmar

codes-title = Códigos de recuperación
codes-lead = Cada uno sirve una vez, cuando no tengas la aplicación. Guárdalos con tus papeles importantes: no se vuelven a mostrar.
codes-kept = Los he guardado
codes-new = Nuevos códigos de recuperación (quedan {$left})

consent-title = Permiso
consent-agent = ¿Puede {$client} actuar en tu nombre?
consent-as-you = ¿Puede {$client} actuar como si fueras tú?
consent-sign-in = ¿Iniciar sesión en {$client}?
consent-client = Quién lo pide
consent-as = Actúa como agente
consent-owner = {$owner} responde por él
consent-where = Dónde
consent-purpose = Para qué
consent-instruction = Pediste
consent-answer = La respuesta va a
consent-unvouched = Nadie aquí responde por este programa: su nombre lo declara él mismo.
consent-loopback = La respuesta va a un programa de tu propio equipo; continúa solo si acabas de iniciarlo tú.
consent-all = Podría hacer en Writ todo lo que tú puedes hacer.
consent-learns = Sabrá
consent-may = Puede
consent-already = Ya le permites esto
consent-more = También quisiera
consent-narrow = Nunca más de lo que tú puedes hacer. Quita lo que no necesite.
consent-until = Durante cuánto tiempo
consent-calls = Llamadas como máximo
consent-offline = Hasta entonces puede volver sin preguntarte de nuevo.
consent-allow = Permitir
consent-deny = No permitir
consent-revoke = Puedes retirarlo en cualquier momento en «Mi acceso».

device-title = Conectar un dispositivo
device-lead = Introduce el código que muestra tu dispositivo o terminal.
device-code = Código
device-warn = Continúa solo si lo has iniciado tú. Ningún servicio de soporte necesita nunca este código.

account-title = Mi acceso
account-verified = verificado
account-agents = Quién puede actuar por mí
account-agents-none = Nadie. Cuando un agente lo pida, tú decides, y aparecerá aquí.
account-since = desde {$at}
account-until = hasta {$at}
account-revoke = Revocar
account-revoke-of = Revocar lo que puede hacer {$client}
account-calls = Qué hicieron los agentes en mi nombre
account-calls-none = Nada últimamente.
account-when = Cuándo
account-agent = Agente
account-act = Qué
account-outcome = Resultado
account-ways = Cómo inicio sesión
account-ways-none = Nada todavía.
account-synced = sincronizada
account-made = creado el {$at}
account-sessions = Dónde tengo sesión iniciada
account-this = esta
account-seen = último uso {$at}
account-end = Cerrar
account-end-others = Cerrar todas las demás

effect-read = Leer y buscar
effect-fetch = Obtener del exterior
effect-write = Crear y modificar
effect-send = Enviar a otros
effect-destroy = Eliminar
effect-admin = Administrar

scope-openid = quién eres, mediante un identificador
scope-profile = tu nombre
scope-email = tu correo electrónico

kind-passkey = Llave de acceso
kind-password = Contraseña
kind-totp = Aplicación de autenticación
kind-codes = Códigos de recuperación

state-allowed = permitido
state-denied = denegado
state-done = hecho
state-failed = fallido
state-unknown = desconocido

notice-signed-out-title = Sesión cerrada
notice-signed-out-text = Has cerrado la sesión de Writ en este navegador.
notice-sign-in = Iniciar sesión
notice-account = Mi acceso
notice-again = Intentar de nuevo
notice-device-title = Conectado
notice-device-text = Vuelve a tu dispositivo; continuará solo. Puedes cerrar esta página.
notice-refused-title = No permitido
notice-refused-text = No se ha concedido nada. Puedes cerrar esta página.
notice-mail-title = Revisa tu correo
notice-mail-text = Si existe una cuenta con esta dirección, un enlace va de camino. Funciona una vez, durante 15 minutos.
notice-saved = Guardado.
notice-removed = Eliminado.
notice-revoked = Revocado. La próxima llamada se rechazará.
notice-ended = Cerrada.

error-credentials = El nombre o la contraseña no son correctos, o esta cuenta no puede iniciar sesión.
error-code = El código es incorrecto o ya se ha usado.
error-passkey = Esta llave de acceso no permite iniciar sesión aquí.
error-slow = Demasiados intentos. Espera un momento y vuelve a intentarlo.
error-busy = Hay demasiada actividad ahora mismo. Inténtalo en breve.
error-password-short = La contraseña es demasiado corta.
error-password-known = Otros adivinarían pronto esta contraseña. Elige otra.
error-last-way = Es tu última forma de acceso. Añade otra primero.
error-nothing-chosen = Elige al menos una cosa que pueda hacer, o no lo permitas.
error-device-code = Ningún dispositivo espera con este código. Los códigos valen 10 minutos.
error-link-title = Este enlace no funciona
error-link-text = Ya se ha usado o ha caducado. Pide uno nuevo.
error-request-title = No se puede responder a esta petición
error-request-text = El programa que te envió aquí cometió un error y no es seguro enviarte de vuelta. Cierra esta página y avisa a quien lo administre.
error-expired-title = Ha pasado demasiado tiempo
error-expired-text = Vuelve al lugar del que venías y empieza de nuevo.
error-origin-title = Esto no se envió desde una página nuestra
error-origin-text = Por tu seguridad no se ha hecho nada. Abre la página de nuevo y repítelo allí.
error-missing-title = Aquí no hay nada
error-missing-text = La dirección no es correcta, o lo que había ya no está.
error-broken-title = Algo ha fallado por nuestra parte
error-broken-text = No se ha cambiado nada. Inténtalo en breve.
error-denied-title = No puedes permitir esto
error-denied-text = Pregunta a un administrador.
