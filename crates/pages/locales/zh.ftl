skip = 跳到内容

footer = AI 智能体的身份与访问管理

language = 语言

or = 或

continue = 继续

later = 以后再说

rename = 重命名

remove = 移除

password = 密码

sign-out = 退出登录
sign-out-ask = 要退出 Writ 吗？

login-title = 登录
login-again = 请确认是您本人
login-for = 以继续使用 {$client}
login-passkey = 使用通行密钥登录
login-passkey-failed = 未使用通行密钥。请重试或选择其他方式。
login-name = 用户名或电子邮箱
login-go = 使用密码继续
login-lost = 无法登录？
login-lost-ask = 无法登录？请向管理员索取链接。

factor-title = 第二步验证
factor-lead = 请输入身份验证器应用显示的代码。
factor-code = 代码
factor-recovery = 没有应用？也可以输入恢复代码。

recover-title = 找回登录方式
recover-lead = 请输入您的用户名或电子邮箱。链接将发送到登记的地址。
recover-go = 发送链接

mail-subject = 您的 Writ 链接
mail-text =
    {$name}，您好：

    通过此链接可以登录并设置登录方式。链接仅可使用一次，且很快失效：

    {$url}

    如果不是您本人请求的，请忽略：没有此链接不会发生任何更改。

join-title = 欢迎使用 Writ
join-lead = 此链接仅供您本人使用一次。继续以设置您的登录方式。

setup-title = 您的登录方式
setup-lead = 通行密钥最快捷，且无法被钓鱼。设备会要求您使用面容、指纹或 PIN。

passkey-name = 通行密钥名称
passkey-name-first = 我的第一个通行密钥
passkey-make = 创建通行密钥
passkey-add = 添加通行密钥
passkey-failed = 未创建通行密钥。请重试或选择其他方式。

password-new = 新密码
password-rule = 至少 {$min} 个字符，且不易被猜到。几个不相关的词是不错的选择。
password-set = 设置密码
password-change = 更改密码
password-add = 添加密码

totp-title = 身份验证器应用
totp-lead = 用身份验证器应用扫描此图，然后输入显示的代码。
totp-picture = 供身份验证器应用扫描的图片；下面是相同内容的文字
totp-type = 或在应用中输入：
totp-confirm = 确认

codes-title = 恢复代码
codes-lead = 每个代码只能使用一次，供没有应用时使用。请妥善保存：它们不会再次显示。
codes-kept = 我已保存
codes-new = 新的恢复代码（剩余 {$left} 个）

consent-title = 授权
consent-agent = 允许 {$client} 代表您行事吗？
consent-as-you = 允许 {$client} 以您的身份行事吗？
consent-sign-in = 登录 {$client}？
consent-client = 请求方
consent-as = 作为智能体
consent-owner = 由 {$owner} 负责
consent-where = 范围
consent-purpose = 用途
consent-instruction = 您的要求
consent-answer = 结果发送至
consent-unvouched = 此处无人为该程序担保：名称由其自行声明。
consent-loopback = 结果将发送到您本机上的程序；仅当您刚刚亲自启动它时才继续。
consent-all = 它将能在 Writ 中执行您有权执行的一切操作。
consent-learns = 它将获知
consent-may = 它可以
consent-already = 您已允许它
consent-more = 它还希望
consent-narrow = 不会超出您本人的权限。请去掉它不需要的部分。
consent-until = 时长
consent-calls = 最多调用次数
consent-offline = 在此之前它可以再次访问而无需询问您。
consent-allow = 允许
consent-deny = 不允许
consent-revoke = 您可以随时在“我的访问”中撤回。

device-title = 连接设备
device-lead = 请输入设备或终端显示的代码。
device-code = 代码
device-warn = 仅当由您本人发起时才继续。任何客服都不会索要此代码。

account-title = 我的访问
account-verified = 已验证
account-agents = 谁可以代表我行事
account-agents-none = 没有。当有智能体请求时由您决定，并显示在此处。
account-since = 自 {$at}
account-until = 至 {$at}
account-revoke = 撤销
account-revoke-of = 撤销 {$client} 的权限
account-calls = 智能体以我的名义做了什么
account-calls-none = 近期没有。
account-when = 时间
account-agent = 智能体
account-act = 操作
account-outcome = 结果
account-ways = 我的登录方式
account-ways-none = 尚未设置。
account-synced = 已同步
account-made = 创建于 {$at}
account-sessions = 我的登录会话
account-this = 当前会话
account-seen = 最近使用 {$at}
account-end = 结束
account-end-others = 结束所有其他会话

effect-read = 读取和搜索
effect-fetch = 从外部获取
effect-write = 创建和修改
effect-send = 发送给他人
effect-destroy = 删除
effect-admin = 管理

scope-openid = 您的身份标识
scope-profile = 您的姓名
scope-email = 您的电子邮箱

kind-passkey = 通行密钥
kind-password = 密码
kind-totp = 身份验证器应用
kind-codes = 恢复代码

state-allowed = 已允许
state-denied = 已拒绝
state-done = 已完成
state-failed = 失败
state-unknown = 未知

notice-signed-out-title = 已退出登录
notice-signed-out-text = 您已在此浏览器中退出 Writ。
notice-sign-in = 登录
notice-account = 我的访问
notice-again = 重试
notice-device-title = 已连接
notice-device-text = 请返回您的设备，它会自动继续。您可以关闭此页面。
notice-refused-title = 未允许
notice-refused-text = 未授予任何权限。您可以关闭此页面。
notice-mail-title = 请查收邮件
notice-mail-text = 如果该地址对应某个账户，链接正在发送中。链接仅可使用一次，15 分钟内有效。
notice-saved = 已保存。
notice-removed = 已移除。
notice-revoked = 已撤销。下一次调用将被拒绝。
notice-ended = 已结束。

error-credentials = 用户名或密码错误，或该账户无法登录。
error-code = 代码错误或已被使用。
error-passkey = 此通行密钥无法在此登录。
error-slow = 尝试次数过多。请稍候再试。
error-busy = 当前过于繁忙，请稍后再试。
error-password-short = 密码太短。
error-password-known = 此密码容易被猜到。请换一个。
error-last-way = 这是您唯一的登录方式。请先添加另一种。
error-nothing-chosen = 请至少选择一项允许的操作，或选择不允许。
error-device-code = 没有设备在等待此代码。代码有效期为 10 分钟。
error-link-title = 此链接无效
error-link-text = 链接已被使用或已过期。请索取新的链接。
error-request-title = 无法处理此请求
error-request-text = 将您带到此处的程序出现错误，返回并不安全。请关闭此页面并告知该程序的负责人。
error-expired-title = 操作超时
error-expired-text = 请返回原处重新开始。
error-origin-title = 此请求并非来自我们的页面
error-origin-text = 为保护您的安全，未执行任何操作。请重新打开页面再试。
error-missing-title = 这里什么都没有
error-missing-text = 地址有误，或内容已不存在。
error-broken-title = 我们这边出现了故障
error-broken-text = 未作任何更改。请稍后再试。
error-denied-title = 您无权允许此操作
error-denied-text = 请联系管理员。
