"""Accounts of those who are not signed in: sign-up, confirmation of the address, a new password, a forgotten name."""

from studio9_baile.usecases import accounts
from studio9_baile.v2.dependencies import TheCore
from studio9_baile.v2.routing import router
from studio9_baile.v2.wire.base import Nothing
from studio9_baile.v2.wire.users import ConfirmationBody, EmailBody, NewPasswordBody, SignUpBody, UserAnswer

routes = router()


@routes.post("/signup")
async def sign_up(body: SignUpBody, core: TheCore) -> UserAnswer:
    return UserAnswer.of(await accounts.sign_up(core, body.new()))


@routes.post("/emailconfirmation", status_code=202)
async def confirm(body: ConfirmationBody, core: TheCore) -> Nothing:
    await accounts.confirm_email(core, body.orgId, body.userId, body.activationCode)
    return Nothing()


@routes.post("/me/password/reset", status_code=202)
async def ask_reset(body: EmailBody, core: TheCore) -> Nothing:
    await accounts.ask_reset(core, body.email)
    return Nothing()


@routes.post("/me/password/resetcomplete")
async def reset(body: NewPasswordBody, core: TheCore) -> Nothing:
    await accounts.reset_password(core, body.email, body.secretCode, body.newPassword)
    return Nothing()


@routes.post("/me/username/remind", status_code=202)
async def remind(body: EmailBody, core: TheCore) -> Nothing:
    await accounts.remind_username(core, body.email)
    return Nothing()
